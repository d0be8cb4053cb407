package io.kubic.mirrors.ops;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * A quick end of the process.
 *
 * <p>A JVM that ends gives threads that are in native code 300 ms to leave it ({@code
 * VM_Exit::wait_for_threads_in_native_to_block} in HotSpot's vmOperations.cpp), and the one that
 * polls the sockets of virtual threads never does: half the time of a small command. Who starts a
 * command on a terminal can ask for an end without it.
 */
public final class Exit {
  /**
   * How to end, a system property: {@code now} calls {@code _exit(2)} of POSIX, for which the JVM
   * needs {@code --enable-native-access=ALL-UNNAMED}. {@code learn} prepares that call and then
   * leaves the end to the caller, for a JVM that is being trained.
   */
  static final String PROPERTY = "mirror.exit";

  private Exit() {}

  /**
   * Makes sure that what was written to standard output got there: a disk may be full, a reader
   * gone, and nobody who prints is told.
   *
   * @param code what the command thinks
   * @return the same, or 1 instead of 0, which is told on standard error
   */
  public static int told(int code) {
    if (!System.out.checkError()) {
      return code;
    }
    System.err.println("error: standard output: not all of the result could be written to it");
    return code == 0 ? 1 : code;
  }

  /**
   * Ends the process, if it was started so that it may; returns otherwise, also when the process is
   * ending already, as after a signal. Nobody's shutdown hooks are called: for when all is done.
   *
   * @param code what the parent is told, 0 to 255
   */
  public static void quickly(int code) {
    String how = System.getProperty(PROPERTY, "");
    if (how.equals("now") || how.equals("learn")) {
      System.out.flush();
      System.err.flush();
      end(code, how.equals("now") && !isEnding());
    }
  }

  @SuppressWarnings("restricted") // Whoever sets the property allows it.
  private static void end(int code, boolean now) {
    try {
      Linker linker = Linker.nativeLinker();
      MethodHandle exit =
          linker.downcallHandle(
              linker.defaultLookup().findOrThrow("_exit"),
              FunctionDescriptor.ofVoid(ValueLayout.JAVA_INT));
      if (now) {
        exit.invokeExact(code);
      }
    } catch (Throwable e) {
      // A platform without it: the usual end is as good, only later.
    }
  }

  private static boolean isEnding() {
    Thread probe = new Thread(() -> {});
    try {
      Runtime.getRuntime().addShutdownHook(probe);
      Runtime.getRuntime().removeShutdownHook(probe);
      return false;
    } catch (IllegalStateException e) {
      return true;
    }
  }
}
