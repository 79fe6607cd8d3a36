;; Uses tasks, streams and futures of the component model.
(component
  (type $stream (stream u8))
  (type $future (future u8))
  (core func $new-stream (canon stream.new $stream))
  (core func $new-future (canon future.new $future))
  (core func $yield (canon backpressure.inc))
  (core module $tasks
    (import "" "stream" (func $stream (result i64)))
    (import "" "future" (func $future (result i64)))
    (import "" "yield" (func $yield))
    (func $start (drop (call $stream)) (drop (call $future)) (call $yield))
    (start $start))
  (core instance (instantiate $tasks (with "" (instance
    (export "stream" (func $new-stream))
    (export "future" (func $new-future))
    (export "yield" (func $yield)))))))
