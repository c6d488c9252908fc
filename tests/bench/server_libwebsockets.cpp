/// libwebsockets. Set up in its favour: a receive buffer for big messages, no logs, and as many messages for
/// each writable socket as it takes.

#include <libwebsockets.h>

#include <csignal>
#include <cstring>
#include <deque>
#include <memory>
#include <new>
#include <set>
#include <string>

#include "report.h"
#include "serve.h"

namespace {

/// A whole message, with the room before it that lws_write() asks for.
using Message = std::shared_ptr<std::string>;

struct Peer {
  lws* wsi = nullptr;
  Message incoming;  ///< until it is complete
  std::deque<Message> queue;
};

bench::Serve what;
std::set<Peer*> allPeers;
volatile std::sig_atomic_t stopped = 0;

void push(Peer& peer, const Message& message) {
  peer.queue.push_back(message);
  lws_callback_on_writable(peer.wsi);
}

void receive(Peer& peer, const char* bytes, size_t size, bool last) {
  if (!peer.incoming) {
    peer.incoming = std::make_shared<std::string>();
    peer.incoming->reserve(LWS_PRE + size + lws_remaining_packet_payload(peer.wsi));
    peer.incoming->resize(LWS_PRE);
  }
  peer.incoming->append(bytes, size);
  if (!last) return;
  const Message message = std::move(peer.incoming);
  if (what != bench::Serve::kBroadcast) return push(peer, message);
  for (Peer* const each : allPeers) push(*each, message);
}

/// @return false when the connection is lost.
bool sendQueue(Peer& peer) {
  while (!peer.queue.empty() && !lws_send_pipe_choked(peer.wsi)) {
    Message message = std::move(peer.queue.front());
    peer.queue.pop_front();
    // lws_write() puts the header in front of the payload: what all peers share stays as it is, as the header
    // is the same for each.
    auto* payload = reinterpret_cast<unsigned char*>(message->data()) + LWS_PRE;
    const size_t size = message->size() - LWS_PRE;
    if (lws_write(peer.wsi, payload, size, LWS_WRITE_TEXT) < static_cast<int>(size)) return false;
  }
  if (!peer.queue.empty()) lws_callback_on_writable(peer.wsi);
  return true;
}

int onEvent(lws* wsi, lws_callback_reasons reason, void* user, void* data, size_t size) {
  auto* peer = static_cast<Peer*>(user);
  const auto* bytes = static_cast<const char*>(data);
  switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
      new (peer) Peer;
      peer->wsi = wsi;
      allPeers.insert(peer);
      return 0;
    case LWS_CALLBACK_CLOSED:
      allPeers.erase(peer);
      peer->~Peer();
      return 0;
    case LWS_CALLBACK_RECEIVE:
      receive(*peer, bytes, size, lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0);
      return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
      return sendQueue(*peer) ? 0 : -1;
    default:
      return 0;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::ServeOptions::parse(argc, argv, {"ws", "wss", "broadcast"});
  what = options.what;
  struct sigaction terminate {};
  terminate.sa_handler = [](int) { stopped = 1; };
  sigaction(SIGTERM, &terminate, nullptr);
  lws_set_log_level(0, nullptr);

  const lws_protocols protocols[] = {{"echo", onEvent, sizeof(Peer), 65536, 0, nullptr, 0},
                                     {nullptr, nullptr, 0, 0, 0, nullptr, 0}};
  lws_context_creation_info info{};
  info.port = options.port;
  info.iface = "127.0.0.1";
  info.protocols = protocols;
  info.pt_serv_buf_size = 65536;
  info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;  // to ask the one host for its port
  if (what == bench::Serve::kSecureWebSocket) {
    info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.ssl_cert_filepath = info.ssl_private_key_filepath = options.pem;
  }
  lws_context* const context = lws_create_context(&info);
  lws_vhost* const host = context != nullptr ? lws_create_vhost(context, &info) : nullptr;
  if (host == nullptr) bench::fail("libwebsockets does not start");
  bench::announce(lws_get_vhost_listen_port(host));
  while (stopped == 0 && lws_service(context, 0) >= 0) {
  }
  lws_context_destroy(context);
  return 0;
}
