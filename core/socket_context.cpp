#include "socket_context.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <stdexcept>
#include <vector>

namespace Workerman::detail {
namespace {

using Pair = std::unique_ptr<NamedOption>;

/// How many letters must be changed, put in or taken out.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

[[noreturn]] void refuse(std::string_view name, std::string_view kind) {
  throw std::invalid_argument("the option '" + std::string(name) + "' takes " + std::string(kind));
}

// What PHP would convert is taken as well: a number for a text or a flag.
void set(TextOption& option, const NamedOption& pair) {
  if (const auto* text = std::get_if<std::string>(&pair.value.value)) {
    option = *text;
  } else if (const int* number = std::get_if<int>(&pair.value.value)) {
    option = std::to_string(*number);
  } else {
    refuse(pair.name, "text");
  }
}
bool flagOf(const NamedOption& pair) {
  if (const bool* flag = std::get_if<bool>(&pair.value.value)) return *flag;
  if (const int* number = std::get_if<int>(&pair.value.value)) return *number != 0;
  refuse(pair.name, "true or false");
}
void set(FlagOption& option, const NamedOption& pair) {
  option = flagOf(pair);
}
void set(MaybeOption<bool>& option, const NamedOption& pair) {
  option = flagOf(pair);
}
void set(MaybeOption<int>& option, const NamedOption& pair) {
  const int* number = std::get_if<int>(&pair.value.value);
  if (number == nullptr) refuse(pair.name, "a number");
  option = *number;
}
void set(NamesOption& option, const NamedOption& pair) {
  const auto* names = std::get_if<OptionNames>(&pair.value.value);
  if (names == nullptr) refuse(pair.name, "pairs of texts");
  option = *names;
}
void set(PeerFingerprint& option, const NamedOption& pair) {
  if (const auto* digest = std::get_if<std::string>(&pair.value.value)) {
    option = PeerFingerprint(*digest);
  } else if (const auto* digests = std::get_if<OptionNames>(&pair.value.value)) {
    option = PeerFingerprint(*digests);
  } else {
    refuse(pair.name, "a digest, or pairs of a digest's name and value");
  }
}

/// The options of a struct by name, in the order of the members.
template <class Visitor>
void visit(SocketOptions& o, Visitor visitor) {
  visitor("bindto", o.bindto);
  visitor("backlog", o.backlog);
  visitor("so_reuseport", o.so_reuseport);
  visitor("so_broadcast", o.so_broadcast);
  visitor("tcp_nodelay", o.tcp_nodelay);
  visitor("ipv6_v6only", o.ipv6_v6only);
}
template <class Visitor>
void visit(SslOptions& o, Visitor visitor) {
  visitor("local_cert", o.local_cert);
  visitor("local_pk", o.local_pk);
  visitor("passphrase", o.passphrase);
  visitor("allow_self_signed", o.allow_self_signed);
  visitor("verify_peer", o.verify_peer);
  visitor("verify_peer_name", o.verify_peer_name);
  visitor("verify_depth", o.verify_depth);
  visitor("cafile", o.cafile);
  visitor("capath", o.capath);
  visitor("peer_name", o.peer_name);
  visitor("peer_fingerprint", o.peer_fingerprint);
  visitor("ciphers", o.ciphers);
  visitor("crypto_method", o.crypto_method);
  visitor("security_level", o.security_level);
  visitor("SNI_enabled", o.SNI_enabled);
  visitor("SNI_server_certs", o.SNI_server_certs);
  visitor("alpn_protocols", o.alpn_protocols);
}

[[noreturn]] void refuseName(std::string_view name, const std::vector<std::string_view>& known) {
  const auto nearest = std::ranges::min_element(
      known, {}, [&](std::string_view candidate) { return distance(name, candidate); });
  throw std::invalid_argument("there is no option '" + std::string(name) + "'; the nearest is '" +
                              std::string(*nearest) + "'");
}

template <class Options>
void sortOut(Options& options, void (*setDefault)(Options&, std::string_view first)) {
  std::vector<Pair> pairs;
  std::vector<std::string_view> known;
  visit(options, [&](std::string_view name, auto& option) {
    known.push_back(name);
    if (Pair pair = option.pending.take()) {
      setDefault(options, name);
      pairs.push_back(std::move(pair));
    }
  });
  for (const Pair& pair : pairs) {
    bool isKnown = false;
    visit(options, [&](std::string_view name, auto& option) {
      if (name != pair->name) return;
      isKnown = true;
      set(option, *pair);
    });
    if (!isKnown) refuseName(pair->name, known);
  }
}

/// The struct whose last member `order` is.
template <class Options>
Options& ownerOf(OptionOrder<Options>& order) {
  // Where the member lies in any of them; measured, since offsetof is not for such classes.
  static const std::ptrdiff_t offset = [] {
    alignas(Options) static const char room[sizeof(Options)] = {};
    const auto& unmade = reinterpret_cast<const Options&>(room);
    return reinterpret_cast<const char*>(&unmade.order) - room;
  }();
  return *reinterpret_cast<Options*>(reinterpret_cast<char*>(&order) - offset);
}

}  // namespace

template <>
OptionOrder<SocketOptions>::OptionOrder() {
  sortOut<SocketOptions>(ownerOf(*this), [](SocketOptions&, std::string_view) {});
}

template <>
OptionOrder<SslOptions>::OptionOrder() {
  // A member that was given a pair has not got its default.
  sortOut<SslOptions>(ownerOf(*this), [](SslOptions& o, std::string_view member) {
    if (member == "SNI_enabled") o.SNI_enabled = true;
  });
}

}  // namespace Workerman::detail
