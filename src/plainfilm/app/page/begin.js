// What a view is about to start: the commands that will run, told beforehand, and their start.

import { problem, swap } from "./pieces.js";
import { ask } from "./server.js";

/** Show the commands of what a view asks for, or the one line that says why there are none. */
export async function preview({ asked, commands, says }) {
  const turn = (commands.turn = (commands.turn ?? 0) + 1); // an answer to an older question comes too late
  let told = { commands: [] };
  let wrong = null;
  try {
    told = await ask("api/command", { body: asked });
  } catch (error) {
    wrong = problem(error);
  }
  if (turn !== commands.turn) return;
  commands.show(told.commands);
  swap(says, wrong);
}

/** Put what a view asks for into the line, and show it there. */
export async function begin({ app, asked, says, starts }, path) {
  starts.disabled = true;
  try {
    app.begin(await ask(path, { body: asked }));
  } catch (error) {
    swap(says, problem(error));
    starts.disabled = false;
  }
}
