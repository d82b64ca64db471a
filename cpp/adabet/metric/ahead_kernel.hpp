#pragma once

#include <algorithm>
#include <cstddef>

#include "adabet/isa.hpp"
#include "adabet/metric/chain.hpp"
#include "adabet/metric/kernels.hpp"
#include "adabet/metric/vector_of.hpp"

/// What is done for the next chunk in the course of this one's runs of chains, some with each step: all at once would wait for
/// memory, or for the second-level cache. Included by kernels.cpp alone.
namespace adabet::ahead_kernel {

inline constexpr std::size_t line = 64;

/// A place in the rows of an Ahead, which are walked through one after another.
struct Place {
    std::size_t row = 0;
    std::size_t at = 0;  ///< bytes

    ADABET_INLINE void advance(std::size_t bytes, const Ahead& ahead) {
        at += bytes;
        if (at < ahead.bytes) return;
        at = 0;
        ++row;
    }
    /// The last byte of the line that begins there: where rows begin within a line, the chunk before shares their first.
    [[nodiscard]] ADABET_INLINE const unsigned char* last_of_line(const Ahead& ahead) const {
        return ahead.first + static_cast<std::ptrdiff_t>(row) * ahead.row_bytes + at + (line - 1);
    }
};

/// A piece with nothing to do. Six chains, unlike sixteen, take no longer than a line's copy does.
struct Nothing {
    ADABET_INLINE void step() {}
};

/// Asks for the rows, `step_bytes` with each step. They are packed later.
template <std::size_t step_bytes>
class Asking {
public:
    struct Piece {
        const unsigned char* first;
        std::ptrdiff_t stride;  ///< 0: nothing to ask for

        ADABET_INLINE void step() {
            __builtin_prefetch(first, 0, 2);
            first += stride;
        }
    };

    static ADABET_INLINE bool can_do_with(const Ahead&, std::size_t) { return false; }  ///< asking costs a run nothing

    /// For so many runs of so many steps; `nothing` is memory to ask for where there is none.
    ADABET_INLINE Asking(const Ahead& ahead, std::size_t runs, std::size_t steps, const void* nothing)
        : ahead_(ahead), steps_(steps), nothing_(static_cast<const unsigned char*>(nothing)) {
        const std::size_t lines = ahead.rows * chain::ceil_div(ahead.bytes, line);
        const std::size_t lines_a_run = runs == 0 ? 0 : chain::ceil_div(lines, runs);
        at_once_ = lines_a_run - std::min(lines_a_run, steps * step_bytes / line);
    }

    /// What the next run is to do with its steps.
    ADABET_INLINE Piece operator()() {
        for (std::size_t k = 0; k < at_once_ && place_.row < ahead_.rows; ++k) {
            __builtin_prefetch(place_.last_of_line(ahead_), 0, 2);
            place_.advance(line, ahead_);
        }
        if (place_.row >= ahead_.rows) return {.first = nothing_, .stride = 0};
        const Piece next{.first = place_.last_of_line(ahead_), .stride = static_cast<std::ptrdiff_t>(step_bytes)};
        place_.advance(step_bytes * steps_, ahead_);  // what lies beyond a row's end is of its next chunk
        return next;
    }
    ADABET_INLINE void finish() {}

private:
    const Ahead& ahead_;
    std::size_t steps_;
    const unsigned char* nothing_;
    std::size_t at_once_ = 0;
    Place place_;
};

/// Copies rows of whole chunks, a line with each step of a whole chunk. Each line is asked for twice before: a processor
/// drops what it is asked for where it has too much under way, and a line that is not there when it is copied would hold up
/// all chains.
class Copying {
public:
    struct Piece {
        const unsigned char* from;
        unsigned char* to;
        const unsigned char* soon;
        const unsigned char* later;
        std::ptrdiff_t stride;  ///< 0: nothing to copy

        ADABET_INLINE void step() {
            __builtin_prefetch(later, 0, 2);
            __builtin_prefetch(soon, 0, 2);
            Vector<float, line / sizeof(float)> values;
            __builtin_memcpy(&values, from, sizeof values);
            __builtin_memcpy(to, &values, sizeof values);
            from += stride;
            to += stride;
            soon += stride;
            later += stride;
        }
    };

    /// Whether so many runs have room for all pieces.
    static ADABET_INLINE bool can_do_with(const Ahead& ahead, std::size_t runs) {
        return ahead.rows * pieces_a_row <= runs;
    }

    ADABET_INLINE Copying(const Ahead& ahead, std::size_t runs, std::size_t, const void*)
        : ahead_(ahead), pieces_(ahead.rows * pieces_a_row) {
        const std::size_t pieces_a_run = runs == 0 ? 0 : chain::ceil_div(pieces_, runs);
        at_once_ = pieces_a_run - std::min<std::size_t>(pieces_a_run, 1);
    }

    /// What the next run is to do with its steps.
    ADABET_INLINE Piece operator()() {
        for (std::size_t k = 0; k < at_once_ && piece_ < pieces_; ++k) copy_one();
        if (piece_ < pieces_) return next();
        return {.from = ahead_.to, .to = ahead_.to, .soon = ahead_.to, .later = ahead_.to, .stride = 0};
    }
    /// Copies what the runs have left.
    ADABET_INLINE void finish() {
        while (piece_ < pieces_) copy_one();
    }

private:
    static constexpr std::size_t piece_bytes = line * chain::steps;
    static constexpr std::size_t row_bytes = chain::chunk_columns * sizeof(float);
    static constexpr std::size_t pieces_a_row = row_bytes / piece_bytes;

    static constexpr std::size_t pieces_soon = 2;
    static constexpr std::size_t pieces_later = 6;

    [[nodiscard]] static ADABET_INLINE std::ptrdiff_t row_of(std::size_t piece) {
        return static_cast<std::ptrdiff_t>(piece / pieces_a_row);
    }
    [[nodiscard]] static ADABET_INLINE std::size_t column_of(std::size_t piece) {
        return piece % pieces_a_row * piece_bytes;
    }
    [[nodiscard]] ADABET_INLINE const unsigned char* begin_of(const unsigned char* first, std::size_t piece) const {
        return first + row_of(piece) * ahead_.row_bytes + column_of(piece);
    }
    /// What to ask for where that piece is some way off, maybe in the chunk after.
    [[nodiscard]] ADABET_INLINE const unsigned char* line_of(std::size_t piece) const {
        if (piece < pieces_) return begin_of(ahead_.first, piece) + (line - 1);
        return ahead_.after == nullptr ? ahead_.to : begin_of(ahead_.after, piece - pieces_) + (line - 1);
    }
    ADABET_INLINE Piece next() {
        const Piece piece{.from = begin_of(ahead_.first, piece_),
                          .to = ahead_.to + row_of(piece_) * ahead_.to_row_bytes + column_of(piece_),
                          .soon = line_of(piece_ + pieces_soon),
                          .later = line_of(piece_ + pieces_later),
                          .stride = static_cast<std::ptrdiff_t>(line)};
        ++piece_;
        return piece;
    }
    ADABET_INLINE void copy_one() {
        Piece piece = next();
        for (std::size_t step = 0; step < chain::steps; ++step) piece.step();
    }

    const Ahead& ahead_;
    std::size_t pieces_;
    std::size_t at_once_ = 0;
    std::size_t piece_ = 0;
};

}  // namespace adabet::ahead_kernel
