// Loaded into Azurite by azurite.py. Azurite saves its data at the first SIGTERM, and while it does so a second
// one would kill it: but the kernel's parent-death signal comes once per thread of the parent that ends.
let closing = false;
process.on("SIGTERM", () => {
  if (closing) return;
  closing = process.listenerCount("SIGTERM") > 1; // Azurite's own handler is there as soon as it serves
  if (!closing) process.exit(143);
});
