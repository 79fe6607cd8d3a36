;; Takes 1 GiB in sixteen memories of 64 MiB. Each alone is modest; a limit that looks at one memory at a time lets it pass.
;; Where the host says no, it traps.
(component
  (core module $greedy
    (memory $memory 0)
    (func $start
      (local $pages i32)
      (block $full
        (loop $more
          (br_if $full (i32.ge_u (local.get $pages) (i32.const 1024)))
          (if (i32.lt_s (memory.grow (i32.const 64)) (i32.const 0)) (then unreachable))
          ;; Written to, so that the pages are really there.
          (memory.fill
            (i32.mul (local.get $pages) (i32.const 65536)) (i32.const 1) (i32.const 4194304))
          (local.set $pages (i32.add (local.get $pages) (i32.const 64)))
          (br $more))))
    (start $start))
  (core instance (instantiate $greedy))
  (core instance (instantiate $greedy))
  (core instance (instantiate $greedy))
  (core instance (instantiate $greedy))
  (core instance (instantiate $greedy))
  (core instance (instantiate $greedy))
  (core instance (instantiate $greedy))
  (core instance (instantiate $greedy))
  (core instance (instantiate $greedy))
  (core instance (instantiate $greedy))
  (core instance (instantiate $greedy))
  (core instance (instantiate $greedy))
  (core instance (instantiate $greedy))
  (core instance (instantiate $greedy))
  (core instance (instantiate $greedy))
  (core instance (instantiate $greedy)))
