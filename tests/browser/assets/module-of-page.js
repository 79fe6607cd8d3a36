// A module of the page's own in the UMD form.
((root, factory) => {
  if (typeof define === 'function' && define.amd) define([], factory);
  else root.moduleOfPage = factory();
})(window, () => ({}));
