#pragma once

// Checks for the C++ tests: plain executables whose main ends with `return check::result();`. A failed check prints where
// and what, and the test goes on, so that one run shows every failure.

#include <atomic>
#include <cstdio>
#include <exception>
#include <sstream>
#include <string>
#include <type_traits>

namespace check {

struct Tally {
    std::atomic<long> passed{0};
    std::atomic<long> failed{0};
};

inline Tally& tally() {
    static Tally counts;
    return counts;
}

inline bool report(bool ok, const char* file, int line, const std::string& what) {
    if (ok) {
        ++tally().passed;
    } else if (++tally().failed <= 50) {
        std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, what.c_str());
    }
    return ok;
}

template <class T>
std::string show(const T& value) {
    if constexpr (std::is_enum_v<T>) {
        return std::to_string(static_cast<long long>(value));
    } else if constexpr (requires(std::ostringstream& out) { out << value; }) {
        std::ostringstream out;
        out.precision(17);
        out << value;
        return out.str();
    } else {
        return "<value>";
    }
}

template <class A, class B>
bool equal(const A& a, const B& b, const char* file, int line, const char* text_a, const char* text_b) {
    bool same = false;
    if constexpr (std::is_integral_v<A> && std::is_integral_v<B> && !std::is_same_v<A, bool> &&
                  !std::is_same_v<B, bool>) {
        same = (a < 0) == (b < 0) && static_cast<unsigned long long>(a) == static_cast<unsigned long long>(b);
    } else {
        same = a == b;
    }
    return report(
        same, file, line,
        same ? std::string() : std::string(text_a) + " == " + text_b + " (" + show(a) + " against " + show(b) + ")");
}

/// 0 if every check passed and there was at least one.
inline int result() {
    const long passed = tally().passed;
    const long failed = tally().failed;
    std::fprintf(stderr, "%ld checks passed, %ld failed\n", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace check

#define CHECK(condition) ::check::report(static_cast<bool>(condition), __FILE__, __LINE__, #condition)

#define CHECK_EQ(a, b) ::check::equal((a), (b), __FILE__, __LINE__, #a, #b)

/// The expression throws Type (or a class derived from it).
#define CHECK_THROWS(Type, ...) CHECK_THROWS_SAYING(Type, "", __VA_ARGS__)

/// The expression throws Type, and its what() contains the text.
#define CHECK_THROWS_SAYING(Type, text, ...)                                                                         \
    do {                                                                                                             \
        std::string check_got = "nothing was thrown";                                                                \
        bool check_ok = false;                                                                                       \
        try {                                                                                                        \
            static_cast<void>(__VA_ARGS__);                                                                          \
        } catch (const Type& check_error) {                                                                          \
            check_got = check_error.what();                                                                          \
            check_ok = check_got.find(text) != std::string::npos;                                                    \
        } catch (const std::exception& check_error) {                                                                \
            check_got = std::string("another exception: ") + check_error.what();                                     \
        }                                                                                                            \
        ::check::report(check_ok, __FILE__, __LINE__,                                                                \
                        std::string(#__VA_ARGS__) + " throws " #Type " saying '" + (text) + "'; got: " + check_got); \
    } while (false)
