#include "bindings/arrays.hpp"

#include <pybind11/numpy.h>

#include <cstdint>
#include <string>

#include "adabet/errors.hpp"
#include "adabet/metric/load.hpp"
#include "bindings/dlpack.hpp"

namespace py = pybind11;

namespace adabet::bindings {

namespace {

[[noreturn]] void throw_scalar(const std::string& got) {
    throw InvalidInput("x has scalar type " + got +
                       ", expected float16, bfloat16, float32, float64, an integer or bool");
}

template <class Kind>
ScalarType integer_type(Kind bits, bool is_signed, const std::string& got) {
    switch (static_cast<int>(bits)) {
        case 8:
            return is_signed ? ScalarType::int8 : ScalarType::uint8;
        case 16:
            return is_signed ? ScalarType::int16 : ScalarType::uint16;
        case 32:
            return is_signed ? ScalarType::int32 : ScalarType::uint32;
        case 64:
            return is_signed ? ScalarType::int64 : ScalarType::uint64;
        default:
            throw_scalar(got);
    }
}

ScalarType floating_type(int bits, const std::string& got) {
    if (bits == 16) return ScalarType::float16;
    if (bits == 32) return ScalarType::float32;
    if (bits == 64) return ScalarType::float64;
    throw_scalar(got);
}

void check_axes(std::size_t ndim, std::size_t most) {
    if (ndim == 0 || ndim > most) throw InvalidInput("x has " + std::to_string(ndim) + " axes, expected 1 to 3");
}

void check_alignment(const ArrayView& view) {
    if (reinterpret_cast<std::uintptr_t>(view.data) % size_of(view.scalar) != 0) {
        throw InvalidInput("x is not aligned to its scalar type; copy it first");
    }
}

ScalarType numpy_scalar(const py::dtype& dtype) {
    const auto got = [&dtype] { return py::str(dtype).cast<std::string>(); };
    const char order = dtype.byteorder();
    if (order != '=' && order != '|') throw_scalar(got() + " (in another byte order)");
    const int bits = static_cast<int>(dtype.itemsize()) * 8;
    switch (dtype.kind()) {
        case 'f':
            return floating_type(bits, got());
        case 'i':
            return integer_type(bits, true, got());
        case 'u':
            return integer_type(bits, false, got());
        case 'b':
            return ScalarType::boolean;
        default:
            throw_scalar(got());
    }
}

ArrayView view_numpy(const py::array& x) {
    ArrayView view;
    view.ndim = static_cast<std::size_t>(x.ndim());
    check_axes(view.ndim, view.shape.size());
    view.scalar = numpy_scalar(x.dtype());
    view.data = x.data();
    check_alignment(view);
    const auto bytes = static_cast<std::ptrdiff_t>(size_of(view.scalar));
    for (std::size_t k = 0; k < view.ndim; ++k) {
        const auto axis = static_cast<py::ssize_t>(k);
        view.shape[k] = static_cast<std::size_t>(x.shape(axis));
        if (x.strides(axis) % bytes != 0)
            throw InvalidInput("x has strides that are no multiple of its scalar type; copy it first");
        view.strides[k] = x.strides(axis) / bytes;
    }
    view.owner = std::make_shared<py::array>(x);
    return view;
}

ScalarType dlpack_scalar(const dlpack::DataType& type) {
    const std::string got = "(DLPack code " + std::to_string(static_cast<int>(type.code)) + ", " +
                            std::to_string(type.bits) + " bits, " + std::to_string(type.lanes) + " lanes)";
    if (type.lanes != 1) throw_scalar(got);
    switch (type.code) {
        case dlpack::TypeCode::floating:
            return floating_type(type.bits, got);
        case dlpack::TypeCode::signed_integer:
            return integer_type(type.bits, true, got);
        case dlpack::TypeCode::unsigned_integer:
            return integer_type(type.bits, false, got);
        case dlpack::TypeCode::brain_floating:
            if (type.bits == 16) return ScalarType::bfloat16;
            break;
        case dlpack::TypeCode::boolean:
            if (type.bits == 8) return ScalarType::boolean;
            break;
    }
    throw_scalar(got);
}

void read_tensor(const dlpack::Tensor& tensor, int cuda_device, ArrayView& view) {
    const dlpack::DeviceType device = tensor.device.type;
    const bool on_cuda = device == dlpack::DeviceType::cuda || device == dlpack::DeviceType::cuda_managed;
    if (on_cuda && cuda_device >= 0) {
        if (tensor.device.id != cuda_device)
            throw InvalidInput("x is on CUDA device " + std::to_string(tensor.device.id) + ", expected device " +
                               std::to_string(cuda_device));
        view.device = cuda_device;
    } else if (device != dlpack::DeviceType::cpu && device != dlpack::DeviceType::cuda_host &&
               device != dlpack::DeviceType::rocm_host) {
        throw Unavailable("x is not in the host's memory (DLPack device type " +
                          std::to_string(static_cast<int>(device)) + "), where this call computes; pass x.cpu()");
    }
    view.ndim = tensor.ndim < 0 ? 0 : static_cast<std::size_t>(tensor.ndim);
    check_axes(view.ndim, view.shape.size());
    view.scalar = dlpack_scalar(tensor.dtype);
    view.data = static_cast<const char*>(tensor.data) + tensor.byte_offset;
    check_alignment(view);
    std::ptrdiff_t contiguous = 1;
    bool is_empty = false;
    for (std::size_t k = view.ndim; k-- > 0;) {
        view.shape[k] = static_cast<std::size_t>(tensor.shape[k]);
        view.strides[k] = tensor.strides == nullptr ? contiguous : static_cast<std::ptrdiff_t>(tensor.strides[k]);
        contiguous *= static_cast<std::ptrdiff_t>(tensor.shape[k]);
        is_empty = is_empty || tensor.shape[k] == 0;
    }
    if (tensor.data == nullptr && !is_empty) throw InvalidInput("x has no memory: it was freed, or never there");
}

/// Takes a capsule's tensor over: from here on its deleter is ours to call.
template <class Managed>
std::shared_ptr<void> take_over(PyObject* capsule, const char* name, const char* used_name, const Managed*& managed) {
    auto* const tensor = static_cast<Managed*>(PyCapsule_GetPointer(capsule, name));
    if (tensor == nullptr || PyCapsule_SetName(capsule, used_name) != 0) throw py::error_already_set();
    managed = tensor;
    return {tensor, [](Managed* p) {
                if (p->deleter != nullptr) p->deleter(p);
            }};
}

/// A stream is named, by its address, where the memory is a GPU's, and only there: without one torch would wait for nothing.
py::object export_capsule(const py::object& x, bool on_device, const void* stream) {
    const py::object exporter = x.attr("__dlpack__");
    py::dict arguments;
    if (on_device) arguments["stream"] = reinterpret_cast<std::uintptr_t>(stream);
    try {
        return exporter(**arguments, py::arg("max_version") = py::make_tuple(1, 0));
    } catch (py::error_already_set& e) {
        if (!e.matches(PyExc_TypeError)) throw;
    }
    return exporter(**arguments);  // a producer from before DLPack 1.0
}

bool is_on_cuda(const py::object& x) {
    if (!py::hasattr(x, "__dlpack_device__")) return false;
    const auto device = x.attr("__dlpack_device__")().cast<py::tuple>();
    const int type = py::int_(device[0]).cast<int>();
    return type == static_cast<int>(dlpack::DeviceType::cuda) ||
           type == static_cast<int>(dlpack::DeviceType::cuda_managed);
}

ArrayView view_dlpack(const py::object& x, int cuda_device, const void* stream) {
    py::object capsule;
    const bool on_device = cuda_device >= 0 && is_on_cuda(x);
    try {
        capsule = export_capsule(x, on_device, stream);
    } catch (py::error_already_set& e) {
        if (!e.matches(PyExc_Exception) || e.matches(PyExc_MemoryError)) throw;
        const std::string said = "x cannot be read through DLPack: " + py::str(e.value()).cast<std::string>();
        if (on_device && said.find("CUDA") != std::string::npos && !e.matches(PyExc_BufferError))
            throw Unavailable(said);  // a device that is lost, as torch says it
        throw InvalidInput(said);
    }
    ArrayView view;
    if (PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned") != 0) {
        const dlpack::ManagedTensorVersioned* managed = nullptr;
        view.owner = take_over(capsule.ptr(), "dltensor_versioned", "used_dltensor_versioned", managed);
        if (managed->version.major != 1)
            throw InvalidInput("x exports DLPack version " + std::to_string(managed->version.major) + ", expected 1");
        read_tensor(managed->tensor, cuda_device, view);
    } else if (PyCapsule_IsValid(capsule.ptr(), "dltensor") != 0) {
        const dlpack::ManagedTensor* managed = nullptr;
        view.owner = take_over(capsule.ptr(), "dltensor", "used_dltensor", managed);
        read_tensor(managed->tensor, cuda_device, view);
    } else {
        throw InvalidInput("x.__dlpack__() gave no DLPack capsule");
    }
    return view;
}

}  // namespace

ArrayView ArrayView::at(std::size_t index) const {
    ArrayView entry{data, scalar, ndim - 1, {shape[1], shape[2]}, {strides[1], strides[2]}, owner, device};
    const auto bytes = static_cast<std::ptrdiff_t>(size_of(scalar));
    entry.data = static_cast<const char*>(data) + static_cast<std::ptrdiff_t>(index) * strides[0] * bytes;
    return entry;
}

PointCloud ArrayView::points() const {
    if (ndim == 1) return {data, scalar, 1, shape[0], 0, strides[0]};
    return {data, scalar, shape[0], shape[1], strides[0], strides[1]};
}

ArrayView view_array(const py::object& x) { return view_array_on_device(x, -1, nullptr); }

ArrayView view_array_on_device(const py::object& x, int device, const void* stream) {
    if (py::isinstance<py::array>(x)) return view_numpy(py::reinterpret_borrow<py::array>(x));
    if (py::hasattr(x, "__dlpack__")) return view_dlpack(x, device, stream);
    throw InvalidInput("x is no array");
}

}  // namespace adabet::bindings
