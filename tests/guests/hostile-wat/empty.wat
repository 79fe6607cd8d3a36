;; A component that is nothing: well formed, and no plugin.
(component)
