#include "tls_io.h"

#include <openssl/bio.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace Workerman::Connection::detail {
namespace {

int onRead(BIO* bio, char* to, std::size_t room, std::size_t* got) noexcept {
  auto& io = *static_cast<TlsIo*>(BIO_get_data(bio));
  auto& input = io.input;
  BIO_clear_retry_flags(bio);
  if (input.empty()) {
    io.isDry = true;
    BIO_set_retry_read(bio);
    return 0;
  }
  *got = std::min(room, input.size());
  std::memcpy(to, input.data(), *got);
  input.remove_prefix(*got);
  return 1;
}

int onWrite(BIO* bio, const char* from, std::size_t size, std::size_t* written) noexcept {
  BIO_clear_retry_flags(bio);
  try {
    static_cast<TlsIo*>(BIO_get_data(bio))->output.append({from, size});
  } catch (const std::bad_alloc&) {
    return 0;
  }
  *written = size;
  return 1;
}

long onControl(BIO*, int what, long, void*) noexcept {
  return what == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* method() {
  static BIO_METHOD* const made = [] {
    BIO_METHOD* const fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "workerman loop");
    if (fresh == nullptr) throw std::bad_alloc();
    BIO_meth_set_read_ex(fresh, onRead);
    BIO_meth_set_write_ex(fresh, onWrite);
    BIO_meth_set_ctrl(fresh, onControl);
    return fresh;
  }();
  return made;
}

}  // namespace

TlsIo& TlsIo::ofThisThread() {
  static thread_local TlsIo io;
  return io;
}

TlsIo::TlsIo() : memory_(new Memory), bio_(BIO_new(method())) {  // not zeroed
  if (bio_ == nullptr) throw std::bad_alloc();
  BIO_set_data(bio_, this);
  BIO_set_init(bio_, 1);
}

TlsIo::~TlsIo() {
  BIO_free(bio_);
}

BIO* TlsIo::share() noexcept {
  BIO_up_ref(bio_);
  return bio_;
}

}  // namespace Workerman::Connection::detail
