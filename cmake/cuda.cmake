include(CheckLanguage)

# What a wheel is compiled for, as far as this nvcc knows it; the newest one also as portable code, for GPUs to come, and the
# oldest one for those between that have no code of their own (8.7 and 11.0, of boards).
set(adabet_all_gpus 75 80 86 89 90 100 120)

# Sets `result` to a list for CMAKE_CUDA_ARCHITECTURES.
function(adabet_cuda_architectures result)
    set(wanted "${ADABET_CUDA_ARCHITECTURES}")
    if(NOT wanted AND (NOT DEFINED SKBUILD OR SKBUILD_STATE STREQUAL "editable"))
        set(wanted 75-virtual)
    endif()
    if(wanted AND NOT wanted STREQUAL "all")
        set(${result} "${wanted}" PARENT_SCOPE)
        return()
    endif()
    execute_process(COMMAND "${CMAKE_CUDA_COMPILER}" --list-gpu-code OUTPUT_VARIABLE known ERROR_QUIET)
    set(chosen)
    foreach(gpu IN LISTS adabet_all_gpus)
        if(known MATCHES "sm_${gpu}(\n|$)")
            list(APPEND chosen ${gpu}-real)
            set(newest ${gpu})
        endif()
    endforeach()
    if(NOT chosen)
        message(FATAL_ERROR "${CMAKE_CUDA_COMPILER} knows none of the GPUs ${adabet_all_gpus}. "
                            "Name some by -DADABET_CUDA_ARCHITECTURES=..., or configure with -DADABET_CUDA=OFF.")
    endif()
    list(GET chosen 0 oldest)
    string(REPLACE "-real" "-virtual" oldest "${oldest}")
    set(${result} "${chosen};${oldest};${newest}-virtual" PARENT_SCOPE)
endfunction()

# Sets ADABET_USES_CUDA to whether the CUDA kernels are built, by ADABET_CUDA, and enables the language if they are. A macro:
# languages are enabled in a file's scope.
macro(adabet_choose_cuda)
    set(ADABET_USES_CUDA OFF)
    if(NOT ADABET_CUDA MATCHES "^(AUTO|ON|OFF)$")
        message(FATAL_ERROR "ADABET_CUDA: got '${ADABET_CUDA}', expected AUTO, ON or OFF")
    endif()
    if(NOT ADABET_CUDA STREQUAL "OFF")
        check_language(CUDA)
        if(CMAKE_CUDA_COMPILER)
            # Before the language is enabled: what CMake would choose by itself, nvcc may refuse.
            adabet_cuda_architectures(CMAKE_CUDA_ARCHITECTURES)
            enable_language(CUDA)
            set(ADABET_USES_CUDA ON)
            message(STATUS "CUDA kernels: nvcc ${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}")
        elseif(ADABET_CUDA STREQUAL "ON")
            message(FATAL_ERROR "ADABET_CUDA=ON, but no CUDA compiler was found that works with ${CMAKE_CXX_COMPILER}. "
                                "Put nvcc on PATH (or set CUDACXX to it), or configure with -DADABET_CUDA=OFF.")
        else()
            message(STATUS "CUDA kernels: none, no nvcc was found")
        endif()
    endif()
endmacro()

# No fused multiply-add but where one is written, as for the CPU; the run-time library inside, so that the module loads
# where there is no CUDA. Warnings in our own code, and registers that are spilled, fail under ADABET_WERROR.
function(adabet_cuda_options target)
    set_target_properties(${target} PROPERTIES
        CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON CUDA_EXTENSIONS OFF
        CUDA_RUNTIME_LIBRARY Static CUDA_VISIBILITY_PRESET hidden)
    target_compile_options(${target} PRIVATE
        $<$<COMPILE_LANGUAGE:CUDA>:--fmad=false --expt-relaxed-constexpr -Xptxas=-warn-spills
        -Xcompiler=-ffp-contract=off,-fno-math-errno,-Wall,-Wextra>)
    if(ADABET_WERROR)
        target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:--Werror=all-warnings>)
    endif()
endfunction()
