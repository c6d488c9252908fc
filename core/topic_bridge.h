#pragma once

#include <string_view>

#include "fwd.h"

namespace Workerman {

/// Where what Worker::publish() says goes besides the connections of this
/// process: the place for a link to other processes and machines (Redis, a
/// message queue). Not in Workerman.
///
///     worker.topicBridge = std::make_shared<MyBridge>();
///
/// All three are called on the worker's thread. What arrives from elsewhere is
/// handed to Worker::publishHere() on that thread, see Worker::post().
class TopicBridge {
 public:
  TopicBridge() = default;
  TopicBridge(const TopicBridge&) = delete;
  TopicBridge& operator=(const TopicBridge&) = delete;
  virtual ~TopicBridge() = default;

  /// `data` was published here and is on its way to the connections here: pass
  /// it on to the others. Both views are valid during the call only.
  virtual void onPublish(Worker& worker, std::string_view topic, std::string_view data) = 0;
  /// The first connection here has subscribed to `topic`.
  virtual void onSubscribe(Worker&, std::string_view /*topic*/) {}
  /// The last one has left.
  virtual void onUnsubscribe(Worker&, std::string_view /*topic*/) {}
};

}  // namespace Workerman
