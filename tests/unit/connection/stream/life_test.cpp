#include "connection/stream/life.h"

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>

#include <workerman/workerman.h>

using Workerman::Connection::TcpConnection;
using Workerman::Connection::detail::Life;
using Phase = Life::Phase;

namespace {

/// The whole table: where each phase leads.
const std::map<Phase, std::set<Phase>> kMoves{
    {Phase::Initial, {Phase::Connecting, Phase::Dying, Phase::Closed}},
    {Phase::Connecting, {Phase::Established, Phase::Lingering, Phase::Failed, Phase::Dying, Phase::Initial}},
    {Phase::Established,
     {Phase::Ending, Phase::Lingering, Phase::AwaitingEnd, Phase::Closing, Phase::Farewell, Phase::Failed,
      Phase::Dying, Phase::Initial}},
    {Phase::Ending, {Phase::Dying, Phase::Initial}},
    {Phase::Lingering, {Phase::Dying, Phase::Initial}},
    {Phase::AwaitingEnd, {Phase::Lingering, Phase::Dying, Phase::Initial}},
    {Phase::Closing, {Phase::Lingering, Phase::Dying, Phase::Initial}},
    {Phase::Farewell, {Phase::Lingering, Phase::AwaitingEnd, Phase::Closing, Phase::Dying, Phase::Initial}},
    {Phase::Failed, {Phase::Connecting, Phase::Dying, Phase::Initial}},
    {Phase::Dying, {Phase::Renewing, Phase::Closed}},
    {Phase::Renewing, {Phase::Dying, Phase::Initial, Phase::Closed}},
    {Phase::Closed, {Phase::Initial, Phase::Connecting}},
};

struct Derived {
  int status;
  bool takesInput, dropsInput, maySend, isTelling, isDown;
};
const std::map<Phase, Derived> kDerived{
    {Phase::Initial, {TcpConnection::STATUS_INITIAL, false, false, true, false, true}},
    {Phase::Connecting, {TcpConnection::STATUS_CONNECTING, false, false, true, false, false}},
    {Phase::Established, {TcpConnection::STATUS_ESTABLISHED, true, false, true, false, false}},
    {Phase::Ending, {TcpConnection::STATUS_ENDING, false, true, false, false, false}},
    {Phase::Lingering, {TcpConnection::STATUS_CLOSING, false, true, false, false, false}},
    {Phase::AwaitingEnd, {TcpConnection::STATUS_CLOSING, false, true, false, false, false}},
    {Phase::Closing, {TcpConnection::STATUS_CLOSING, false, false, false, false, false}},
    {Phase::Farewell, {TcpConnection::STATUS_CLOSING, true, false, false, false, false}},
    {Phase::Failed, {TcpConnection::STATUS_CLOSING, false, false, false, false, true}},
    {Phase::Dying, {TcpConnection::STATUS_CLOSED, false, false, false, true, false}},
    {Phase::Renewing, {TcpConnection::STATUS_INITIAL, false, false, true, true, false}},
    {Phase::Closed, {TcpConnection::STATUS_CLOSED, false, false, false, false, true}},
};

}  // namespace

TEST_CASE("life: these are the moves, and there are no others") {
  REQUIRE(kMoves.size() == Life::kPhases);
  for (int from = 0; from < Life::kPhases; ++from) {
    for (int to = 0; to < Life::kPhases; ++to) {
      CAPTURE(from);
      CAPTURE(to);
      const auto before = static_cast<Phase>(from);
      const auto after = static_cast<Phase>(to);
      const bool leads = kMoves.at(before).contains(after);
      CHECK(Life::leads(before, after) == leads);
      Life life(before);
      CHECK(life.moveTo(after) == leads);
      CHECK(life.phase() == (leads ? after : before));
    }
  }
}

TEST_CASE("life: what may be done is derived from the phase") {
  REQUIRE(kDerived.size() == Life::kPhases);
  for (const auto& [phase, wanted] : kDerived) {
    CAPTURE(static_cast<int>(phase));
    const Life life(phase);
    CHECK(life.status() == wanted.status);
    CHECK(life.takesInput() == wanted.takesInput);
    CHECK(life.dropsInput() == wanted.dropsInput);
    CHECK(life.maySend() == wanted.maySend);
    CHECK(life.isTelling() == wanted.isTelling);
    CHECK(life.isDown() == wanted.isDown);
    CHECK(TcpConnection::STATUS_TO_STRING.contains(life.status()));
  }
}

TEST_CASE("life: every phase leads to the end") {
  for (const auto& [phase, next] : kMoves) {
    CAPTURE(static_cast<int>(phase));
    const bool ends = next.contains(Phase::Dying) || next.contains(Phase::Closed);
    CHECK((ends || phase == Phase::Closed));
  }
}
