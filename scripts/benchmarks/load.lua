-- Sends one sentence after another to POST /, and prints what came back as JSON.
-- wrk -s load.lua URL -- SENTENCES, a file with a JSON body per line
local bodies, sent = {}, 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    bodies[#bodies + 1] = line
  end
  wrk.method = "POST"
  wrk.headers["content-type"] = "application/json"
end

function request()
  sent = sent + 1
  return wrk.format(nil, nil, nil, bodies[sent % #bodies + 1])
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"seconds": %f, "requests": %d, "not_2xx": %d, "broken": %d, "p50_ms": %f, "p99_ms": %f, "max_ms": %f}\n',
    summary.duration / 1e6, summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
