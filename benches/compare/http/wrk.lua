-- What wrk sends and tells. All is given in the environment:
--
--   BODY, COOKIE   of each request; PATH is in the URL
--   TOKENS, ORDER  the eight zeros in BODY stand for a number from 1 to TOKENS, "random" or in "sequence"
--   RATE           requests per second in all; without it each connection sends as soon as it was answered

local given = os.getenv
local tokens, rate = tonumber(given("TOKENS") or ""), tonumber(given("RATE") or "")

wrk.method = "POST"
wrk.body = given("BODY")
wrk.headers["Content-Type"] = "application/json"
if given("COOKIE") then
  wrk.headers["Cookie"] = given("COOKIE")
end

if tokens then
  local random = given("ORDER") == "random"
  local head, tail, last

  function init()
    local whole = wrk.format()
    local from, to = whole:find("00000000", 1, true)
    head, tail, last = whole:sub(1, from - 1), whole:sub(to + 1), 0
  end

  function request()
    last = random and math.random(tokens) or last % tokens + 1
    return head .. string.format("%08d", last) .. tail
  end
end

-- wrk asks before each request how many whole milliseconds that connection thinks. At tens of thousands of requests per
-- second most have to think for less than one. So there is one timetable for all connections, with the gaps that many
-- independent people leave; who comes next waits for the next place in it, rounded down. What comes too early for that
-- moves the places of the others: the rate is kept.
if rate then
  local ffi = require("ffi")
  ffi.cdef([[
    typedef struct { long seconds; long nanoseconds; } compare_time;
    int clock_gettime(int, compare_time *);
  ]])
  local monotonic, time, place = 1, ffi.new("compare_time"), 0

  function delay()
    ffi.C.clock_gettime(monotonic, time)
    local now = tonumber(time.seconds) * 1000 + tonumber(time.nanoseconds) / 1e6
    -- Who is late does not hurry afterwards.
    place = math.max(place, now) - math.log(1 - math.random()) * 1000 / rate
    return math.floor(place - now)
  end
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout
  local told = '\nresult {"requests":%.0f,"bytes":%.0f,"micros":%.0f,"refused":%.0f,"failed":%.0f,"p50Micros":%.0f,"p99Micros":%.0f}\n'
  io.write(
    told:format(
      summary.requests, summary.bytes, summary.duration, errors.status, failed, latency:percentile(50), latency:percentile(99)
    )
  )
end
