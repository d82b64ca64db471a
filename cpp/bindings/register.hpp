#pragma once

#include <pybind11/pybind11.h>

namespace adabet::bindings {

void register_errors(pybind11::module_& module);
void register_execution(pybind11::module_& module);
void register_device(pybind11::module_& module);
void register_device_homology(pybind11::module_& module);
void register_distances(pybind11::module_& module);
void register_homology(pybind11::module_& module);

}  // namespace adabet::bindings
