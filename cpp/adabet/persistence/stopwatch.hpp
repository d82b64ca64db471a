#pragma once

#include <chrono>

namespace adabet {

class Stopwatch {
public:
    /// Adds the time since the last lap to `seconds`.
    void lap(double& seconds) {
        const auto now = std::chrono::steady_clock::now();
        seconds += std::chrono::duration<double>(now - last_).count();
        last_ = now;
    }

private:
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace adabet
