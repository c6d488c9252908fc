#include "topics.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

#include "../../core/event_loop.h"
#include "../../core/exceptions.h"
#include "../../core/runtime.h"
#include "../../core/topic_bridge.h"
#include "../../core/worker.h"
#include "link_inline.h"
#include "loop_io.h"
#include "rare.h"

namespace Workerman::Connection::detail {
namespace {

/// More than this does not wait for the end of the callback.
constexpr std::size_t kMostWaiting = 256;
constexpr std::size_t kMostWaitingBytes = 256 * 1024;

bool isOpen(const TcpConnection& connection) noexcept {
  return connection.getStatus() == TcpConnection::STATUS_ESTABLISHED;
}

/// The text that `data` stands for in the worker's protocol.
std::optional<std::string_view> textOf(const Worker& worker, Message data, std::string& storage) {
  if (data.type == textTag()) return data.as<const std::string_view>();
  return worker.protocol.empty() ? std::nullopt : requireProtocol(worker.protocol)->asText(data, storage);
}

/// Calls the worker's bridge, if it has one; what it throws stops the worker like any exception.
template <class F>
void tellBridge(Worker& worker, F&& tell) noexcept {
  const auto bridge = worker.topicBridge;
  if (!bridge) return;
  try {
    tell(*bridge);
  } catch (...) {
    Workerman::detail::withCurrentException(
        [](const std::exception& e) { Worker::stopAll(250, Workerman::detail::describe(e)); });
  }
}

/// Sends a value that each connection encodes for itself.
void sendValue(TcpConnection& connection, Message data) {
  const Protocol* spoken = connection.protocol.get();
  if (spoken == nullptr) {
    throw std::invalid_argument("a connection without a protocol sends text, not " +
                                std::string(data.type->name));
  }
  static_cast<void>(spoken->send(Link::of(connection), data));
}

}  // namespace

// -- one message ---------------------------------------------------------------------

void Published::sendTo(TcpConnection& connection) noexcept {
  if (!isOpen(connection)) return;
  try {
    const Protocol* const spoken = connection.protocol.get();
    if (spoken == nullptr) return static_cast<void>(Link::of(connection).transmit({}, text_));
    auto known = std::find_if(encoded_.begin(), encoded_.end(),
                              [&](const Encoded& e) { return e.protocol == spoken; });
    if (known == encoded_.end()) known = encoded_.insert(known, {spoken, spoken->encodeForMany(text_)});
    static_cast<void>(known->bytes ? known->bytes->sendTo(Link::of(connection))
                                   : spoken->sendText(Link::of(connection), text_));
  } catch (...) {
    Workerman::detail::withCurrentException([&](const std::exception& e) { connection.error(e); });
  }
}

// -- one connection ------------------------------------------------------------------

Subscriber::~Subscriber() {
  if (turn_ != kNone) hub_.served_[turn_] = nullptr;
  while (!topics_.empty()) hub_.leave(*this, static_cast<std::uint32_t>(topics_.size() - 1));
}

std::uint32_t Subscriber::find(const Topic* topic) const noexcept {
  if (topic == nullptr) return kNone;
  if (index_) {
    const auto known = index_->find(topic);
    return known == index_->end() ? kNone : known->second;
  }
  for (std::uint32_t i = 0; i < topics_.size(); ++i) {
    if (topics_[i].topic == topic) return i;
  }
  return kNone;
}

void Subscriber::add(Topic& topic, std::uint32_t place) {
  topics_.push_back({&topic, place});
  if (index_) {
    index_->emplace(&topic, static_cast<std::uint32_t>(topics_.size() - 1));
  } else if (topics_.size() > kFew) {
    index_ = std::make_unique<Index>();
    for (std::uint32_t i = 0; i < topics_.size(); ++i) index_->emplace(topics_[i].topic, i);
  }
}

Subscriber::Membership Subscriber::remove(std::uint32_t membership) noexcept {
  const Membership removed = topics_[membership];
  if (index_) index_->erase(removed.topic);
  if (membership + 1 != topics_.size()) {
    const auto& moved = topics_[membership] = topics_.back();
    moved.topic->members[moved.place].membership = membership;
    if (index_) index_->find(moved.topic)->second = membership;
  }
  topics_.pop_back();
  if (topics_.size() <= kFew / 2) index_.reset();
  return removed;
}

bool Subscriber::isSubscribed(std::string_view topic) const noexcept {
  return find(hub_.find(topic)) != kNone;
}

bool Subscriber::subscribe(std::string_view topic) {
  Topic* const known = hub_.find(topic);
  if (find(known) != kNone) return false;
  hub_.join(*this, known, topic);
  return true;
}

bool Subscriber::unsubscribe(std::string_view topic) {
  const std::uint32_t membership = find(hub_.find(topic));
  if (membership == kNone) return false;
  hub_.leave(*this, membership);
  return true;
}

void Subscriber::catchUp() noexcept {
  if (next_ < hub_.end() || first_ != kNone) hub_.catchUp(*this);
}

// -- the hub: who -----------------------------------------------------------------------

Subscriber::Topic* TopicHub::find(std::string_view name) const {
  const auto known = topics_.find(name);
  return known == topics_.end() ? nullptr : known->second.get();
}

/// The subscriber has caught up: nothing published before now is for it.
void TopicHub::join(Subscriber& subscriber, Topic* known, std::string_view name) {
  Topic* topic = known;
  const bool isNew = topic == nullptr;
  if (isNew) {
    auto made = std::make_unique<Topic>();
    made->name = name;
    topic = topics_.emplace(made->name, std::move(made)).first->second.get();
  }
  subscriber.next_ = end();
  topic->members.push_back({&subscriber, static_cast<std::uint32_t>(subscriber.topics_.size())});
  subscriber.add(*topic, static_cast<std::uint32_t>(topic->members.size() - 1));
  if (!isNew) return;
  const std::string told(name);  // the topic may be gone when the bridge returns
  tellBridge(worker_, [&](TopicBridge& bridge) { bridge.onSubscribe(worker_, told); });
}

void TopicHub::leave(Subscriber& subscriber, std::uint32_t membership) noexcept {
  const auto [topic, place] = subscriber.remove(membership);
  auto& members = topic->members;
  if (place + 1 != members.size()) {
    const auto& moved = members[place] = members.back();
    moved.subscriber->topics_[moved.membership].place = place;
  }
  members.pop_back();
  if (!members.empty()) return;
  for (const auto& message : waiting_) {
    if (message->topic == topic) message->topic = nullptr;
  }
  const auto gone = topics_.extract(topic->name);
  tellBridge(worker_, [&](TopicBridge& bridge) { bridge.onUnsubscribe(worker_, gone.key()); });
}

// -- the hub: what ----------------------------------------------------------------------

std::size_t TopicHub::publish(std::string_view name, Message data, bool toBridge) {
  std::string storage;
  const auto text = textOf(worker_, data, storage);
  // Callbacks may destroy the worker: it is not looked at after this.
  const auto self = shared_from_this();
  if (toBridge && text)
    tellBridge(worker_, [&](TopicBridge& bridge) { bridge.onPublish(worker_, name, *text); });
  Topic* const topic = find(name);
  if (topic == nullptr) return 0;
  if (!text) return sendNow(*topic, data);
  const std::size_t reached = topic->members.size();
  enqueue(*topic, *text);
  return reached;
}

void TopicHub::enqueue(Topic& topic, std::string_view text) {
  waiting_.push_back(std::make_unique<Published>(&topic, text));
  waitingBytes_ += text.size();
  EventLoop* const loop = Workerman::detail::Runtime::ofThisThread().loop();
  const bool isMuch = waiting_.size() >= kMostWaiting || waitingBytes_ >= kMostWaitingBytes;
  if (loop == nullptr || !loop->isDispatching() || isMuch) return flush();
  if (waiting_.size() > 1 || isFlushing_) return;
  LoopIo::ofThisThread().flushLater(shared_from_this());
  loop->requestFlush();
}

/// Something that is no text cannot wait: it may be gone when the call is over.
std::size_t TopicHub::sendNow(const Topic& topic, Message data) {
  std::vector<TcpConnectionPtr> all;
  all.reserve(topic.members.size());
  for (const auto& member : topic.members) all.push_back(member.subscriber->connection_.shared_from_this());
  for (const auto& connection : all) {
    Link::of(*connection).sendPublished();
    if (isOpen(*connection)) sendValue(*connection, data);
  }
  return all.size();
}

std::size_t TopicHub::broadcast(Message data) {
  std::string storage;
  const auto text = textOf(worker_, data, storage);
  Published message(nullptr, text.value_or(std::string_view()));
  std::size_t reached = 0;
  for (const auto& entry : worker_.connections) {
    TcpConnection& connection = *entry.second;
    Link::of(connection).sendPublished();
    if (!isOpen(connection)) continue;
    ++reached;
    if (text) {
      message.sendTo(connection);
    } else {
      sendValue(connection, data);
    }
  }
  return reached;
}

void TopicHub::flush() noexcept {
  if (isFlushing_) return;
  const auto self = shared_from_this();
  EventLoop* const loop = Workerman::detail::Runtime::ofThisThread().loop();
  if (loop == nullptr) return waiting_.clear();
  const Workerman::detail::DispatchScope scope(*loop);
  isFlushing_ = true;
  while (!waiting_.empty()) {
    leaving_.swap(waiting_);
    waitingBytes_ = 0;
    line();
    base_ += leaving_.size();
    // Callbacks may end any connection: its place is empty then.
    for (std::size_t i = 0; i < served_.size(); ++i) {
      if (served_[i] != nullptr) serve(*served_[i]);
    }
    for (Subscriber* const subscriber : served_) {
      if (subscriber != nullptr) subscriber->turn_ = Subscriber::kNone;
    }
    served_.clear();
    deliveries_.clear();
    leaving_.clear();
  }
  isFlushing_ = false;
}

/// Sorts what leaves by who gets it.
void TopicHub::line() {
  for (std::uint32_t i = 0; i < leaving_.size(); ++i) {
    if (leaving_[i]->topic == nullptr) continue;
    for (const auto& member : leaving_[i]->topic->members) {
      Subscriber& subscriber = *member.subscriber;
      if (base_ + i < subscriber.next_) continue;
      const auto place = static_cast<std::uint32_t>(deliveries_.size());
      deliveries_.push_back({i, Subscriber::kNone});
      if (subscriber.turn_ == Subscriber::kNone) {
        subscriber.turn_ = static_cast<std::uint32_t>(served_.size());
        served_.push_back(&subscriber);
      }
      if (subscriber.first_ == Subscriber::kNone) {
        subscriber.first_ = place;
      } else {
        deliveries_[subscriber.last_].next = place;
      }
      subscriber.last_ = place;
    }
  }
  for (Subscriber* const subscriber : served_) subscriber->next_ = base_ + leaving_.size();
}

void TopicHub::serve(Subscriber& subscriber) noexcept {
  const std::uint32_t turn = subscriber.turn_;
  while (subscriber.first_ != Subscriber::kNone) {
    const Delivery delivery = deliveries_[subscriber.first_];
    subscriber.first_ = delivery.next;
    leaving_[delivery.message]->sendTo(subscriber.connection_);
    if (served_[turn] != &subscriber) return;
  }
}

void TopicHub::catchUp(Subscriber& subscriber) noexcept {
  const TcpConnectionPtr pin = subscriber.connection_.shared_from_this();
  if (subscriber.turn_ != Subscriber::kNone) serve(subscriber);
  while (Link::of(*pin).subscriber() == &subscriber &&
         (subscriber.next_ = std::max(subscriber.next_, base_)) < end()) {
    Published& message = *waiting_[subscriber.next_++ - base_];
    if (subscriber.find(message.topic) != Subscriber::kNone) message.sendTo(*pin);
  }
}

}  // namespace Workerman::Connection::detail

// -- what connections and workers offer -------------------------------------------------

namespace Workerman::Connection {

bool TcpConnection::subscribe(std::string_view topic) {
  if (getStatus() == STATUS_CLOSED) return false;
  if (worker == nullptr) {
    throw std::logic_error("subscribe: topics are those of the Worker that accepted the connection");
  }
  sendPublished();
  if (getStatus() == STATUS_CLOSED || worker == nullptr) return false;
  auto& subscriber = rare().subscriber;
  if (!subscriber) {
    subscriber =
        std::make_unique<detail::Subscriber>(static_cast<detail::TopicHub&>(worker->topics()), *this);
  }
  return subscriber->subscribe(topic);
}

bool TcpConnection::unsubscribe(std::string_view topic) {
  sendPublished();
  return subscriber() != nullptr && rare_->subscriber->unsubscribe(topic);
}

bool TcpConnection::isSubscribed(std::string_view topic) const noexcept {
  return subscriber() != nullptr && rare_->subscriber->isSubscribed(topic);
}

}  // namespace Workerman::Connection

namespace Workerman::detail {

std::shared_ptr<Topics> makeTopics(Worker& worker) {
  return std::make_shared<Connection::detail::TopicHub>(worker);
}

}  // namespace Workerman::detail
