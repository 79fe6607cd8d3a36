;; Makes an array of a million references on a heap that a host would have to collect.
(component
  (core module $gc
    (type $list (array (mut anyref)))
    (func $start (drop (array.len (array.new_default $list (i32.const 1000000)))))
    (start $start))
  (core instance (instantiate $gc)))
