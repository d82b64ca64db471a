#include <pybind11/pybind11.h>

#include "bindings/register.hpp"

PYBIND11_MODULE(_core, module) {
    module.doc() = "Native core of adabet_fast. Use the package: arguments are only checked there.";
    module.attr("__version__") = ADABET_VERSION;
    adabet::bindings::register_errors(module);
    adabet::bindings::register_execution(module);
    adabet::bindings::register_distances(module);
    adabet::bindings::register_device(module);
    adabet::bindings::register_homology(module);
}
