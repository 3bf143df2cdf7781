// Files as they are given: dropped, also whole folders, or pasted. Gives File objects with names; reads no content.

/** Files of a drop; of folders all files below, named by their path. */
async function dropped(transfer) {
  // The items are gone after the first wait.
  const items = [...transfer.items].filter((item) => item.kind === "file").map((item) => ({ entry: item.webkitGetAsEntry?.() ?? null, file: item.getAsFile() }));
  const found = [];
  for (const { entry, file } of items) {
    if (entry?.isDirectory) await walk(entry, found);
    else if (file) found.push({ file, name: file.name });
  }
  return found;
}

/** Have `taken` called with what is dropped anywhere on the page but over a dialog; the veil is shown while files are held over it. */
export function onDrop(veil, taken) {
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files") && !document.querySelector("dialog[open]");
  const show = (isShown) => veil.classList.toggle("shown", isShown);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    show(holdsFiles(event));
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && show(false));
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    show(false);
    if (holdsFiles(event)) taken(await dropped(event.dataTransfer));
  });
}

/** Files of a paste. A picture that was copied from a page has no name of its own. */
export function pasted(event) {
  return [...(event.clipboardData?.files ?? [])].map((file) => ({ file, name: file.name || "pasted" }));
}

async function walk(folder, found) {
  const reader = folder.createReader();
  for (;;) {
    const batch = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!batch.length) return;
    for (const entry of batch) {
      if (entry.name.startsWith(".")) continue;
      if (entry.isDirectory) await walk(entry, found);
      else await new Promise((resolve) => entry.file((file) => resolve(found.push({ file, name: entry.fullPath.slice(1) })), resolve));
    }
  }
}
