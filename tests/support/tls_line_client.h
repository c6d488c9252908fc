#pragma once

/// A LineClient over TLS, on OpenSSL alone. It takes every certificate: tests look at what it was shown.

#include <openssl/ssl.h>
#include <signal.h>

#include <ctime>
#include <memory>
#include <string>

#include "line_client.h"

namespace testing {

class TlsLineClient {
 public:
  using Session = std::shared_ptr<SSL_SESSION>;

  /// Connects and does the handshake; with `session` it asks to go on with that one.
  explicit TlsLineClient(int port, const Session& session = nullptr)
      : socket_(port),
        context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free),
        ssl_(SSL_new(context_.get()), SSL_free) {
    if (session) SSL_set_session(ssl_.get(), session.get());
    SSL_set_fd(ssl_.get(), socket_.fd());
    const NoSigpipe quiet;
    isOpen_ = socket_.connected() && SSL_connect(ssl_.get()) == 1;
  }
  TlsLineClient(const TlsLineClient&) = delete;
  TlsLineClient& operator=(const TlsLineClient&) = delete;

  /// Whether there was somebody to connect to.
  bool connected() const { return socket_.connected(); }
  /// Whether the handshake was done.
  bool isOpen() const { return isOpen_; }
  bool isResumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  /// The common name in the server's certificate.
  std::string name() const {
    char text[256] = "";
    const std::unique_ptr<X509, decltype(&X509_free)> shown(SSL_get1_peer_certificate(ssl_.get()), X509_free);
    if (shown)
      X509_NAME_get_text_by_NID(X509_get_subject_name(shown.get()), NID_commonName, text, sizeof text);
    return text;
  }
  /// What the next client can go on with; complete once an answer has come.
  Session session() const { return {SSL_get1_session(ssl_.get()), SSL_SESSION_free}; }

  /// Sends the question and gives the line that comes; empty when none does.
  std::string ask(const std::string& question) {
    const NoSigpipe quiet;
    const std::string text = question + "\n";
    if (!isOpen_ || SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) <= 0) return "";
    std::string line;
    for (char c = 0; SSL_read(ssl_.get(), &c, 1) == 1; line += c) {
      if (c == '\n') return line;
    }
    return "";
  }

 private:
  /// OpenSSL writes to sockets with write().
  struct NoSigpipe {
    NoSigpipe() {
      ::sigemptyset(&pipe);
      ::sigaddset(&pipe, SIGPIPE);
      ::pthread_sigmask(SIG_BLOCK, &pipe, &before);
    }
    ~NoSigpipe() {
      const timespec now{};
      ::sigtimedwait(&pipe, nullptr, &now);
      ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    sigset_t pipe, before;
  };

  LineClient socket_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  bool isOpen_ = false;
};

}  // namespace testing
