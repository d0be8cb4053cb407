package io.kubic.mirrors.list;

import java.util.Locale;
import java.util.Set;

/**
 * The few words that decide what a number in a tag belongs to. Each set errs on the side of keeping
 * an image: a word that is not listed never makes a version disappear by itself.
 */
final class TagWords {
  /** The number behind it counts builds, glued or not: {@code r3}, {@code build1.2}. */
  private static final Set<String> BUILD =
      Set.of("r", "rev", "revision", "build", "bld", "rel", "release", "rebuild", "respin", "ls");

  /** Comes before the version it announces. */
  private static final Set<String> PRE_RELEASE =
      Set.of(
          "a",
          "alpha",
          "b",
          "beta",
          "rc",
          "cr",
          "pre",
          "preview",
          "dev",
          "devel",
          "snapshot",
          "nightly",
          "canary",
          "milestone",
          "m",
          "ea",
          "eap",
          "next",
          "unstable",
          "experimental",
          "testing",
          "x");

  /**
   * The number behind it is a release of the thing named, not a build of the image: {@code
   * -debian-12}, {@code -temurin-21}, {@code -x86_64}.
   */
  private static final Set<String> NAMES_A_RELEASE =
      Set.of(
          // distributions
          "alpine",
          "debian",
          "ubuntu",
          "centos",
          "stream",
          "rhel",
          "el",
          "fedora",
          "fc",
          "ubi",
          "minimal",
          "micro",
          "rocky",
          "rockylinux",
          "alma",
          "almalinux",
          "oracle",
          "oraclelinux",
          "ol",
          "amazonlinux",
          "amzn",
          "al",
          "photon",
          "leap",
          "opensuse",
          "suse",
          "sles",
          "sle",
          "bci",
          "mariner",
          "azurelinux",
          "wolfi",
          "linux",
          // processors
          "x86",
          "amd",
          "arm",
          "armv",
          "aarch",
          "armhf",
          "ppc",
          "riscv",
          "mips",
          // languages and runtimes
          "jdk",
          "jre",
          "java",
          "openjdk",
          "temurin",
          "corretto",
          "amazoncorretto",
          "zulu",
          "liberica",
          "semeru",
          "sapmachine",
          "graalvm",
          "graal",
          "dragonwell",
          "kona",
          "python",
          "py",
          "cp",
          "pypy",
          "php",
          "ruby",
          "node",
          "nodejs",
          "npm",
          "go",
          "golang",
          "rust",
          "perl",
          "gcc",
          "clang",
          "llvm",
          "dotnet",
          "aspnet",
          "otp",
          "erlang",
          "elixir",
          "scala",
          "sbt",
          "kotlin",
          "gradle",
          "maven",
          "cuda",
          "cudnn",
          "rocm",
          "oneapi",
          "mkl",
          "mpi",
          "openmpi",
          "pytorch",
          "torch",
          "tf",
          "tensorflow",
          // products that images are built for
          "spark",
          "hadoop",
          "hive",
          "flink",
          "kafka",
          "pg",
          "postgres",
          "postgresql",
          "postgis",
          "mysql",
          "mariadb",
          "redis",
          "mongo",
          "mongodb",
          "k8s",
          "kube",
          "kubernetes",
          "openshift",
          "ocp",
          "nginx",
          "apache",
          "httpd",
          "tomcat",
          "qt",
          "gtk");

  /** Behind it every number is one of Windows: {@code windowsservercore-1809}. */
  private static final Set<String> WINDOWS =
      Set.of("windows", "windowsservercore", "servercore", "nanoserver", "ltsc", "win");

  /** rpm's distribution marks, with the build behind a dot: {@code lp152.2.14}. */
  private static final Set<String> RPM_MARK = Set.of("lp", "bp");

  private TagWords() {}

  static boolean countsBuilds(String word) {
    return BUILD.contains(lower(word));
  }

  static boolean isPreRelease(String word) {
    return PRE_RELEASE.contains(lower(word));
  }

  static boolean namesARelease(String word) {
    return NAMES_A_RELEASE.contains(lower(word));
  }

  static boolean isWindows(String word) {
    return WINDOWS.contains(lower(word));
  }

  static boolean isRpmMark(String word) {
    return RPM_MARK.contains(lower(word));
  }

  private static String lower(String word) {
    return word.toLowerCase(Locale.ROOT);
  }
}
