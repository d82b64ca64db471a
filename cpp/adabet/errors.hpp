#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace adabet {

/// Input that has no answer; the message says which entry and why.
class InvalidInput : public std::invalid_argument {
public:
    using std::invalid_argument::invalid_argument;
};

/// The run would need more bytes than the caller allows (or than can be addressed).
class BudgetExceeded : public std::runtime_error {
public:
    BudgetExceeded(std::size_t budget_bytes, std::size_t needed_bytes, const std::string& what_for)
        : std::runtime_error("needs " + std::to_string(needed_bytes) + " bytes for " + what_for +
                             ", but the budget is " + std::to_string(budget_bytes) + " bytes"),
          budget(budget_bytes),
          needed(needed_bytes) {}

    std::size_t budget;
    std::size_t needed;
};

/// The caller's checkpoint asked to stop.
class Cancelled : public std::runtime_error {
public:
    Cancelled() : std::runtime_error("cancelled") {}
};

/// A backend or instruction set that was named cannot run here.
class Unavailable : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

}  // namespace adabet
