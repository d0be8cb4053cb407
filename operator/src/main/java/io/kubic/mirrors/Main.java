package io.kubic.mirrors;

import io.kubic.mirrors.cli.CommandLines;
import io.kubic.mirrors.ops.Carriers;
import io.kubic.mirrors.ops.Exit;
import io.kubic.mirrors.ops.Logging;

/** Starts the role that the arguments name and ends the process with its exit code. */
public final class Main {
  private Main() {}

  public static void main(String[] args) {
    Logging.configure();
    if (args.length > 0 && args[0].equals("sync")) {
      // It asks before it copies; SyncCommand says when there is enough to copy.
      Carriers.few();
    }
    int code = Exit.told(CommandLines.create(args).execute(args));
    Exit.quickly(code);
    System.exit(code);
  }
}
