#include "connection_table.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "../../core/connection_view.h"
#include "../../core/worker.h"
#include "link_inline.h"

namespace Workerman::Connection::detail {

ConnectionTable& ConnectionTable::ofThisThread() {
  // Never destroyed: connections that a thread leaves behind in its own
  // thread-local objects still want to take themselves out.
  static constinit thread_local ConnectionTable* table = nullptr;
  static thread_local struct Release {
    ~Release() {
      if (table != nullptr && table->size() == 0) delete std::exchange(table, nullptr);
    }
  } release;
  if (table == nullptr) {
    table = new ConnectionTable;
    static_cast<void>(release);
  }
  return *table;
}

std::int64_t ConnectionTable::nextId() noexcept {
  static constinit thread_local std::int64_t last = 0;
  return ++last;
}

std::vector<ConnectionTable::Entry>::const_iterator ConnectionTable::lowerBound(std::int64_t id) const {
  return std::lower_bound(entries_.begin(), entries_.end(), id,
                          [](const Entry& entry, std::int64_t wanted) { return entry.id < wanted; });
}

void ConnectionTable::add(TcpConnection& connection) {
  const std::int64_t id = Link::of(connection).realId();
  const auto place = entries_.begin() + (lowerBound(id) - entries_.cbegin());
  if (place == entries_.end() || place->id != id) {
    entries_.insert(place, {id, &connection});
  } else if (place->connection == nullptr) {
    place->connection = &connection;
    --gaps_;
  }
}

void ConnectionTable::remove(const TcpConnection& connection) noexcept {
  const std::int64_t id = Link::of(connection).realId();
  const auto place = entries_.begin() + (lowerBound(id) - entries_.cbegin());
  if (place == entries_.end() || place->id != id || place->connection == nullptr) return;
  place->connection = nullptr;
  if (++gaps_ * 2 > entries_.size()) {
    std::erase_if(entries_, [](const Entry& entry) { return entry.connection == nullptr; });
    gaps_ = 0;
    if (entries_.capacity() > 64 && entries_.size() * 4 < entries_.capacity()) entries_.shrink_to_fit();
  }
}

TcpConnectionPtr ConnectionTable::firstFrom(std::int64_t id, const Worker* worker,
                                            std::int64_t& foundId) const {
  for (auto entry = lowerBound(id); entry != entries_.end(); ++entry) {
    if (entry->connection == nullptr) continue;
    if (worker != nullptr && entry->connection->worker != worker) continue;
    // One that is being made or unmade has no owner to share with.
    if (auto alive = std::static_pointer_cast<TcpConnection>(entry->connection->weak_from_this().lock())) {
      foundId = entry->id;
      return alive;
    }
  }
  return nullptr;
}

}  // namespace Workerman::Connection::detail

namespace Workerman {

using Connection::detail::ConnectionTable;

ConnectionView::iterator::iterator(const Worker* worker, key_type atLeast) : worker_(worker) {
  entry_.second = ConnectionTable::ofThisThread().firstFrom(atLeast, worker, entry_.first);
}

ConnectionView::iterator& ConnectionView::iterator::operator++() {
  return *this = iterator(worker_, entry_.first + 1);
}

std::size_t ConnectionView::size() const noexcept {
  return worker_ ? worker_->connectionCount() : ConnectionTable::ofThisThread().size();
}

ConnectionView::iterator ConnectionView::find(key_type id) const {
  iterator found(worker_, id);
  return found.entry_.first == id ? found : end();
}

ConnectionView::mapped_type ConnectionView::at(key_type id) const {
  const iterator found = find(id);
  if (found == end()) throw std::out_of_range("there is no connection " + std::to_string(id));
  return found->second;
}

}  // namespace Workerman
