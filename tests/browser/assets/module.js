// Only as a module may a script say this.
export const kind = 'module';
window.vendor.module = import.meta.url;
