"""Tables about images, in any form that people have them: a file in, rows of text out; knows nothing of folders or images."""
