#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace Workerman::detail {

/// Min-heap of due times, four children to a node: shallower than libuv's
/// binary tree, and without its pointers. Equal times keep their order. It
/// tells `Places` (`void moved(slot, index)`) where each slot's node is, so
/// that any of them can be removed. Internal.
template <class Places>
class TimerHeap {
 public:
  struct Node {
    std::uint64_t due;
    std::uint32_t slot;
    std::uint32_t sequence;
  };

  explicit TimerHeap(Places& places) : places_(places) {}

  bool empty() const noexcept { return nodes_.empty(); }
  const Node& top() const noexcept { return nodes_.front(); }
  std::vector<Node>& nodes() noexcept { return nodes_; }

  void push(std::uint64_t due, std::uint32_t slot) {
    nodes_.push_back({due, slot, sequence_++});
    siftUp(nodes_.size() - 1);
  }

  void postponeTop(std::uint64_t due) noexcept {
    nodes_.front().due = due;
    nodes_.front().sequence = sequence_++;
    siftDown(0);
  }

  void remove(std::size_t index) noexcept {
    const Node last = nodes_.back();
    nodes_.pop_back();
    if (index == nodes_.size()) {
      return;
    }
    const bool earlier = before(last, nodes_[index]);
    nodes_[index] = last;
    if (earlier) {
      siftUp(index);
    } else {
      siftDown(index);
    }
  }

 private:
  static bool before(const Node& a, const Node& b) noexcept {
    // The difference, so that a sequence that wrapped around still compares.
    return a.due != b.due ? a.due < b.due : static_cast<std::int32_t>(a.sequence - b.sequence) < 0;
  }

  void set(std::size_t index, const Node& node) noexcept {
    nodes_[index] = node;
    places_.moved(node.slot, index);
  }

  void siftUp(std::size_t index) noexcept {
    const Node node = nodes_[index];
    while (index != 0) {
      const std::size_t parent = (index - 1) / 4;
      if (!before(node, nodes_[parent])) {
        break;
      }
      set(index, nodes_[parent]);
      index = parent;
    }
    set(index, node);
  }

  void siftDown(std::size_t index) noexcept {
    const Node node = nodes_[index];
    for (;;) {
      const std::size_t first = index * 4 + 1;
      if (first >= nodes_.size()) {
        break;
      }
      std::size_t least = first;
      for (std::size_t child = first + 1; child < first + 4 && child < nodes_.size(); ++child) {
        if (before(nodes_[child], nodes_[least])) {
          least = child;
        }
      }
      if (!before(nodes_[least], node)) {
        break;
      }
      set(index, nodes_[least]);
      index = least;
    }
    set(index, node);
  }

  Places& places_;
  std::vector<Node> nodes_;
  std::uint32_t sequence_ = 0;
};

}  // namespace Workerman::detail
