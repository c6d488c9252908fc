#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace Workerman::detail {

/// Timer id -> slot, by open addressing: a lookup costs a multiplication and a
/// probe or two, a timer costs no allocation. Ids are positive. Internal.
class TimerIds {
 public:
  static constexpr std::uint32_t none = UINT32_MAX;

  std::uint32_t find(int id) const noexcept {
    if (id <= 0 || entries_.empty()) {
      return none;
    }
    for (std::size_t at = home(id);; at = next(at)) {
      if (entries_[at].id == id) {
        return entries_[at].slot;
      }
      if (entries_[at].id == 0) {
        return none;
      }
    }
  }

  void insert(int id, std::uint32_t slot) {
    if ((size_ + 1) * 2 > entries_.size()) {
      rehash(entries_.empty() ? 16 : entries_.size() * 2);
    }
    place(id, slot);
    ++size_;
  }

  void erase(int id) noexcept {
    std::size_t at = home(id);
    while (entries_[at].id != id) {
      at = next(at);
    }
    // Close the gap with later entries that may live there, so that no
    // tombstones pile up.
    for (std::size_t hole = at, probe = next(at);; probe = next(probe)) {
      if (entries_[probe].id == 0) {
        entries_[hole] = {};
        break;
      }
      if (((probe - home(entries_[probe].id)) & mask()) >= ((probe - hole) & mask())) {
        entries_[hole] = entries_[probe];
        hole = probe;
      }
    }
    --size_;
  }

  /// Room for `count` ids and not much more; forgets those inside.
  void reset(std::size_t count) {
    size_ = 0;
    std::vector<Entry>().swap(entries_);
    if (count != 0) {
      std::size_t capacity = 16;
      while (capacity < count * 2) {
        capacity *= 2;
      }
      rehash(capacity);
    }
  }

 private:
  struct Entry {
    int id = 0;  // 0: empty
    std::uint32_t slot = none;
  };

  // Eight consecutive ids share a cache line, because timers made together tend to go together. Such groups
  // land far apart (2^32 over the golden ratio), so that long-lived ids form no runs.
  std::size_t home(int id) const noexcept {
    const auto bits = static_cast<std::uint32_t>(id);
    return (((bits >> 3) * 2654435769u) >> shift_) << 3 | (bits & 7);
  }
  std::size_t next(std::size_t at) const noexcept { return (at + 1) & mask(); }
  std::size_t mask() const noexcept { return entries_.size() - 1; }

  void place(int id, std::uint32_t slot) noexcept {
    std::size_t at = home(id);
    while (entries_[at].id != 0) {
      at = next(at);
    }
    entries_[at] = {id, slot};
  }

  void rehash(std::size_t capacity) {
    std::vector<Entry> old(capacity);
    old.swap(entries_);
    shift_ = 32;
    for (std::size_t n = capacity / 8; n > 1; n /= 2) {
      --shift_;
    }
    for (const Entry& entry : old) {
      if (entry.id != 0) {
        place(entry.id, entry.slot);
      }
    }
  }

  std::vector<Entry> entries_;
  std::size_t size_ = 0;
  unsigned shift_ = 32;
};

}  // namespace Workerman::detail
