package io.kubic.mirrors.ops;

import java.lang.management.ManagementFactory;
import jdk.management.VirtualThreadSchedulerMXBean;

/**
 * The threads that carry the virtual ones, of which a JVM has as many as processors. Small requests
 * do not keep them busy but wake them all: half of them take a tenth less CPU for thousands of
 * requests, and a tenth more time for gigabytes.
 */
public final class Carriers {
  /** Read by the JDK when the first virtual thread is made; see {@link Thread}. */
  static final String PROPERTY = "jdk.virtualThreadScheduler.parallelism";

  private static volatile boolean few;

  private Carriers() {}

  /**
   * Half as many as there are processors, unless whoever started the JVM has said how many. To be
   * called at the start of the process, before there is a virtual thread.
   */
  public static void few() {
    if (System.getProperty(PROPERTY) == null) {
      few = true;
      System.setProperty(PROPERTY, String.valueOf(Math.max(1, processors() / 2)));
    }
  }

  /** As many as there are processors, if they are few now. */
  public static void all() {
    if (few) {
      few = false;
      ManagementFactory.getPlatformMXBean(VirtualThreadSchedulerMXBean.class)
          .setParallelism(processors());
    }
  }

  private static int processors() {
    return Runtime.getRuntime().availableProcessors();
  }
}
