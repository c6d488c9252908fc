#pragma once

/// Who has subscribed to what, and what waits to reach them (internal).

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "../../core/listener.h"
#include "../../core/message.h"
#include "../protocol.h"

namespace Workerman::Connection::detail {

class TopicHub;

/// What one connection has subscribed to. Does not outlive its worker.
class Subscriber {
 public:
  Subscriber(TopicHub& hub, TcpConnection& connection) noexcept : hub_(hub), connection_(connection) {}
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;
  ~Subscriber();

  bool subscribe(std::string_view topic);
  bool unsubscribe(std::string_view topic);
  bool isSubscribed(std::string_view topic) const noexcept;
  /// Sends what was published for it and still waits: before anything else that
  /// the connection sends, so that all arrives in the order of the calls. This
  /// may be gone afterwards.
  void catchUp() noexcept;

  struct Topic;

 private:
  friend class TopicHub;
  struct Membership {
    Topic* topic;
    std::uint32_t place;  ///< among the topic's members
  };
  using Index = std::unordered_map<const Topic*, std::uint32_t>;
  static constexpr std::uint32_t kNone = UINT32_MAX;
  /// Up to so many topics are looked through, which costs no memory; more have an index.
  static constexpr std::size_t kFew = 16;

  /// Where among `topics_`, or kNone.
  std::uint32_t find(const Topic* topic) const noexcept;
  void add(Topic& topic, std::uint32_t place);
  Membership remove(std::uint32_t membership) noexcept;

  TopicHub& hub_;
  TcpConnection& connection_;
  std::vector<Membership> topics_;
  std::unique_ptr<Index> index_;
  /// Number of the first message that it has not been sent yet.
  std::uint64_t next_ = 0;
  /// During a flush: its place among those served, and its chain of deliveries.
  std::uint32_t turn_ = kNone;
  std::uint32_t first_ = kNone;
  std::uint32_t last_ = kNone;
};

struct Subscriber::Topic {
  struct Member {
    Subscriber* subscriber;
    std::uint32_t membership;  ///< among the subscriber's topics
  };
  std::string name;
  std::vector<Member> members;
};

/// One published message, and what each protocol makes of it.
class Published {
 public:
  Published(Subscriber::Topic* target, std::string_view text) : topic(target), text_(text) {}
  Published(const Published&) = delete;
  Published& operator=(const Published&) = delete;

  std::size_t size() const noexcept { return text_.size(); }
  /// Sends it, encoded at the first connection that speaks its protocol. What
  /// the application's encode() throws goes to the connection.
  void sendTo(TcpConnection& connection) noexcept;

  /// Where it goes; null once nobody is subscribed any more.
  Subscriber::Topic* topic;

 private:
  struct Encoded {
    const Protocol* protocol;
    std::unique_ptr<Broadcast> bytes;  ///< null: each connection encodes for itself
  };
  std::string text_;
  std::vector<Encoded> encoded_;
};

/// The topics of one worker.
///
/// What is published in one callback of the loop leaves together when that
/// ends: each message is encoded once, and each connection gets all that is
/// meant for it in one write.
class TopicHub final : public Workerman::detail::Topics, public std::enable_shared_from_this<TopicHub> {
 public:
  explicit TopicHub(Worker& worker) noexcept : worker_(worker) {}

  std::size_t publish(std::string_view topic, Message data, bool toBridge) override;
  std::size_t broadcast(Message data) override;

  /// Sends all that waits. This may be gone afterwards unless somebody holds it.
  void flush() noexcept;

 private:
  friend class Subscriber;
  using Topic = Subscriber::Topic;
  using Messages = std::vector<std::unique_ptr<Published>>;
  struct Delivery {
    std::uint32_t message;
    std::uint32_t next;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };

  Topic* find(std::string_view name) const;
  /// `known`: the topic, null for one that nobody has subscribed to.
  void join(Subscriber& subscriber, Topic* known, std::string_view name);
  void leave(Subscriber& subscriber, std::uint32_t membership) noexcept;
  /// Number that the next message will have.
  std::uint64_t end() const noexcept { return base_ + waiting_.size(); }
  void enqueue(Topic& topic, std::string_view text);
  void line();
  void serve(Subscriber& subscriber) noexcept;
  void catchUp(Subscriber& subscriber) noexcept;
  std::size_t sendNow(const Topic& topic, Message data);

  Worker& worker_;
  std::unordered_map<std::string, std::unique_ptr<Topic>, Hash, std::equal_to<>> topics_;
  Messages waiting_;
  std::uint64_t base_ = 0;  ///< number of the first message in waiting_
  std::size_t waitingBytes_ = 0;
  // Of the flush that is under way; kept from one to the next for their memory.
  Messages leaving_;
  std::vector<Subscriber*> served_;
  std::vector<Delivery> deliveries_;
  bool isFlushing_ = false;
};

}  // namespace Workerman::Connection::detail
