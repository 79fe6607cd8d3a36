// A page as old platforms make it: a module loader that is a `var`, globals that CommonJS builds look for, and libraries that put
// functions on everything, as Prototype.js does.
var define = (...given) => {
  window.registered.push(document.currentScript ? new URL(document.currentScript.src).pathname : 'later');
  return given;
};
define.amd = { jQuery: true };
var module = { exports: {} };
window.exports = module.exports;
window.registered = [];

Array.prototype.toJSON = function () {
  return `[${this.map((value) => JSON.stringify(value)).join(', ')}]`;
};
String.prototype.toJSON = function () {
  return `"${this}"`;
};
Array.prototype.reduce = function () {
  return this.length > 1 ? this : this[0];
};
Array.prototype.each = () => {};
