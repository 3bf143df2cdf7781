// Files as they are given: dropped, also whole folders, or pasted. Gives File objects with names; reads no content.

/** Files of a drop; of folders all files below, named by their path. */
export async function dropped(transfer) {
  // The items are gone after the first wait.
  const items = [...transfer.items].filter((item) => item.kind === "file").map((item) => ({ entry: item.webkitGetAsEntry?.() ?? null, file: item.getAsFile() }));
  const found = [];
  for (const { entry, file } of items) {
    if (entry?.isDirectory) await walk(entry, found);
    else if (file) found.push({ file, name: file.name });
  }
  return found;
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
