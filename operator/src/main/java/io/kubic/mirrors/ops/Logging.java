package io.kubic.mirrors.ops;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.logging.ConsoleHandler;
import java.util.logging.Formatter;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/** One line per record on standard error: time, level, logger, message. Level by LOG_LEVEL. */
public final class Logging {
  private Logging() {}

  /** Replaces the handlers of the root logger; to be called once, before anything is logged. */
  public static void configure() {
    Logger root = Logger.getLogger("");
    for (Handler handler : root.getHandlers()) {
      root.removeHandler(handler);
    }
    Level level =
        switch (String.valueOf(System.getenv("LOG_LEVEL"))) {
          case "debug", "DEBUG" -> Level.FINE;
          case "warn", "WARN" -> Level.WARNING;
          case "error", "ERROR" -> Level.SEVERE;
          default -> Level.INFO;
        };
    ConsoleHandler console = new ConsoleHandler();
    console.setLevel(level);
    console.setFormatter(new Line());
    root.addHandler(console);
    root.setLevel(level);
  }

  private static final class Line extends Formatter {
    @Override
    public String format(LogRecord entry) {
      String logger = String.valueOf(entry.getLoggerName());
      StringBuilder line =
          new StringBuilder(entry.getInstant().toString())
              .append(' ')
              .append(entry.getLevel() == Level.SEVERE ? "ERROR" : entry.getLevel().getName())
              .append(' ')
              .append(logger.substring(logger.lastIndexOf('.') + 1))
              .append(": ")
              .append(formatMessage(entry).replaceAll("\\R", " | "));
      if (entry.getThrown() != null) {
        StringWriter stack = new StringWriter();
        entry.getThrown().printStackTrace(new PrintWriter(stack));
        line.append(" | ").append(stack.toString().strip().replaceAll("\\R\\s*", " | "));
      }
      return line.append('\n').toString();
    }
  }
}
