#include "bindings/device_matrix.hpp"

#include <array>
#include <string>

#include "bindings/dlpack.hpp"

namespace py = pybind11;

namespace adabet::bindings {

namespace {

/// What lives as long as an exported tensor.
template <class Managed>
struct Exported {
    Managed managed;  // filled by export_as
    std::shared_ptr<void> memory;
    std::array<std::int64_t, 2> shape{};
    std::array<std::int64_t, 2> strides{};
};

template <class Managed>
void delete_exported(Managed* managed) {
    delete static_cast<Exported<Managed>*>(managed->manager);
}

/// A capsule that nobody took over frees its tensor.
template <class Managed>
void destroy_capsule(PyObject* capsule) {
    const char* const name = PyCapsule_GetName(capsule);
    if (name == nullptr || std::string(name).rfind("used", 0) == 0) return;
    auto* const managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, name));
    if (managed != nullptr) managed->deleter(managed);
}

template <class Managed>
py::object export_as(const DeviceMatrixOwner& matrix, const char* name) {
    auto exported = std::make_unique<Exported<Managed>>();
    exported->memory = matrix.memory;
    const auto n = static_cast<std::int64_t>(matrix.n);
    exported->shape = {n, n};
    exported->strides = {n, 1};
    Managed& managed = exported->managed;
    managed.tensor.byte_offset = 0;
    if constexpr (requires { managed.flags; }) managed.flags = 0;
    managed.manager = exported.get();
    managed.deleter = &delete_exported<Managed>;
    managed.tensor.data = matrix.memory.get();
    managed.tensor.device = {dlpack::DeviceType::cuda, matrix.device};
    managed.tensor.ndim = 2;
    managed.tensor.dtype = {dlpack::TypeCode::floating, static_cast<std::uint8_t>(8 * matrix.real_size), 1};
    managed.tensor.shape = exported->shape.data();
    managed.tensor.strides = exported->strides.data();
    if constexpr (requires { managed.version; }) managed.version = {1, 0};
    PyObject* const capsule = PyCapsule_New(&managed, name, &destroy_capsule<Managed>);
    if (capsule == nullptr) throw py::error_already_set();
    static_cast<void>(exported.release());
    return py::reinterpret_steal<py::object>(capsule);
}

/// The work on it is done, so that every stream may read it.
py::object to_dlpack(const DeviceMatrixOwner& matrix, const py::object& /*stream*/, const py::object& max_version,
                     const py::object& /*dl_device*/, const py::object& /*copy*/) {
    const bool versioned = !max_version.is_none() && py::cast<py::tuple>(max_version)[0].cast<int>() >= 1;
    return versioned ? export_as<dlpack::ManagedTensorVersioned>(matrix, "dltensor_versioned")
                     : export_as<dlpack::ManagedTensor>(matrix, "dltensor");
}

}  // namespace

void register_device_matrix(py::module_& module) {
    // A plain type, as its stub says; pybind11's own metaclass serves static properties alone.
    py::class_<DeviceMatrixOwner>(module, "DeviceMatrix", "A square matrix in a GPU's memory, read through DLPack.",
                                  py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type)))
        .def("__dlpack__", &to_dlpack, py::kw_only(), py::arg("stream") = py::none(),
             py::arg("max_version") = py::none(), py::arg("dl_device") = py::none(), py::arg("copy") = py::none())
        .def("__dlpack_device__", [](const DeviceMatrixOwner& matrix) {
            return py::make_tuple(static_cast<int>(dlpack::DeviceType::cuda), matrix.device);
        });
}

}  // namespace adabet::bindings
