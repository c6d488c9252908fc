#pragma once

/// Everything a program needs: `#include <workerman/workerman.h>`.
/// It is installed beside core/, connection/ and protocols/, hence the paths.

#include <nlohmann/json.hpp>

#include "core/fwd.h"
