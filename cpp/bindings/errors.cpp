#include "adabet/errors.hpp"

#include <exception>
#include <new>
#include <string>

#include "adabet/metric/device.hpp"
#include "bindings/register.hpp"

namespace py = pybind11;

namespace adabet::bindings {

namespace {

py::object error_type(const char* name) { return py::module_::import("adabet_fast._core").attr(name); }

void raise(const char* type, const std::string& message) { PyErr_SetString(error_type(type).ptr(), message.c_str()); }

void raise_budget(const std::string& message, const py::object& budget, const py::object& needed) {
    const py::object type = error_type("MemoryBudgetError");
    const py::object error = type(message);
    error.attr("budget") = budget;
    error.attr("needed") = needed;
    PyErr_SetObject(type.ptr(), error.ptr());
}

void translate(std::exception_ptr thrown) {
    try {
        if (thrown) std::rethrow_exception(thrown);
    } catch (const InvalidInput& e) {
        raise("InvalidInputError", e.what());
    } catch (const BudgetExceeded& e) {
        raise_budget(std::string(e.what()) + " (max_memory=)", py::int_(e.budget), py::int_(e.needed));
    } catch (const DeviceOutOfMemory& e) {
        raise_budget(e.what(), py::int_(e.free), e.asked == 0 ? py::object(py::none()) : py::int_(e.asked));
    } catch (const Unavailable& e) {
        raise("BackendUnavailableError", e.what());
    } catch (const Cancelled&) {
        PyErr_SetNone(PyExc_KeyboardInterrupt);
    } catch (const std::bad_alloc&) {
        raise_budget("the machine has not enough free memory, though max_memory= would allow more", py::none(),
                     py::none());
    }
}

void add_error(py::module_& module, const char* name, PyObject* base, const char* doc, const py::dict& members) {
    const std::string qualified = std::string("adabet_fast.") + name;
    module.attr(name) =
        py::reinterpret_steal<py::object>(PyErr_NewExceptionWithDoc(qualified.c_str(), doc, base, members.ptr()));
}

}  // namespace

void register_errors(py::module_& module) {
    add_error(module, "InvalidInputError", PyExc_ValueError,
              "An argument has no answer; the message says which, what was got, and what was expected.", py::dict());
    py::dict members;
    members["budget"] = py::none();
    members["needed"] = py::none();
    add_error(
        module, "MemoryBudgetError", PyExc_MemoryError,
        "The call needs more memory than it may take.\n\n"
        "`budget` and `needed` are bytes: what was allowed, and what the cheapest plan needs, as far as it is known.\n"
        "Both are None where the machine itself ran out.",
        members);
    add_error(module, "BackendUnavailableError", PyExc_RuntimeError,
              "The backend or instruction set that was named cannot run here; the message says why.", py::dict());
    // Local: a translator for std::bad_alloc must not reach into other extension modules.
    py::register_local_exception_translator(&translate);
}

}  // namespace adabet::bindings
