#include "bindings/execution.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "adabet/isa.hpp"
#include "bindings/register.hpp"

namespace py = pybind11;

namespace adabet::bindings {

namespace {

constexpr int most_threads = 1024;

/// Lets something that needs the GIL happen now and then.
class Seldom {
public:
    template <class Body>
    void run(const Body& body) {
        const auto now = Clock::now();
        if (now - last_ < std::chrono::milliseconds(50)) return;
        {
            const py::gil_scoped_acquire gil;
            body();
        }
        last_ = Clock::now();
    }

private:
    using Clock = std::chrono::steady_clock;
    Clock::time_point last_ = Clock::now();
};

std::function<void(const Progress&)> report_to(const py::object& callback) {
    if (callback.is_none()) return {};
    return [seldom = Seldom(), function = py::handle(callback)](const Progress& now) mutable {
        seldom.run([&] { function(now.edges, now.births, now.alive, now.radius); });
    };
}

/// Asked of `threading`, which knows who the main thread is also after a fork.
bool in_main_thread() {
    const py::module_ threading = py::module_::import("threading");
    return threading.attr("main_thread")().attr("ident").cast<unsigned long>() == PyThread_get_thread_ident();
}

std::function<void()> checkpoint() {
    if (!in_main_thread()) return {};
    return [seldom = Seldom()]() mutable {
        seldom.run([] {
            if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        });
    };
}

}  // namespace

GilReleased::~GilReleased() {
    try {
        PyEval_RestoreThread(state_);
    } catch (...) {  // the unwinding of a thread that Python ends; it may not be swallowed, but it may be held up
        for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
}

Call::Call(std::size_t max_memory, int n_threads, const py::object& report, Lender lender)
    : budget_(max_memory),
      execution{budget_, std::clamp(n_threads, 1, most_threads), checkpoint(), report_to(report), std::move(lender)} {}

void register_execution(py::module_& module) {
    module.def("available_cores", &available_cores, "Cores that this process may use.");
    module.def(
        "active_isa", [] { return std::string(name(active_isa())); },
        "Instruction set of the kernels: the widest one, or what ADABET_ISA names.");
    module.def(
        "available_isas",
        [] {
            std::vector<std::string> names;
            for (const Isa isa : available_isas()) names.emplace_back(name(isa));
            return names;
        },
        "Instruction sets that this processor and this build can run, weakest first.");
}

}  // namespace adabet::bindings
