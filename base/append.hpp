// Appending to vectors that have grown long ago. Where push_back is written out in the middle of a
// function, its growth takes registers from everything around it, at every call, although it
// happens a few times in a run.
#pragma once

#include <vector>

#include "base/inline.hpp"

namespace disagfusion {

template <class T>
[[gnu::noinline, gnu::cold]] void make_room_for_more(std::vector<T>& values) {
  values.reserve(values.empty() ? 4 : 2 * values.size());
}

/// As push_back, but growth stands apart. `value` must not be one of `values`.
template <class T>
DF_INLINE T& append(std::vector<T>& values, const T& value) {
  if (values.size() == values.capacity()) [[unlikely]]
    make_room_for_more(values);
  if (values.size() == values.capacity()) __builtin_unreachable();
  return values.emplace_back(value);
}

}  // namespace disagfusion
