// Names as options take them: one with a comma, = or a quote in it stands in double quotes, as on the command line.

export const quoted = (called) => (/[,="]/.test(called) ? `"${called.replaceAll('"', '""')}"` : called);
export const unquoted = (written) => (/^".*"$/s.test(written) ? written.slice(1, -1).replaceAll('""', '"') : written);

/** Names with commas between. */
export const namesOf = (text) => (text.match(/(?:"(?:[^"]|"")*"|[^,])+/g) ?? []).map((each) => unquoted(each.trim())).filter(Boolean);

/** A label and the class that it is, as one text and back; null for a text of another form. */
export const paired = (label, called) => `${quoted(label)}=${quoted(called)}`;
export const pairOf = (text) => text.match(/^("(?:[^"]|"")*"|[^=]*)=(.*)$/s)?.slice(1).map(unquoted) ?? null;
