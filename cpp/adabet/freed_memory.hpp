#pragma once

namespace adabet {

/// Returns freed memory that the C library keeps for later allocations to the system: nothing that is in use moves.
/// Whether this C library can be asked for it.
bool return_freed_memory() noexcept;

}  // namespace adabet
