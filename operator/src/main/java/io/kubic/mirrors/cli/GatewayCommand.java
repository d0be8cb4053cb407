package io.kubic.mirrors.cli;

import io.kubic.mirrors.gateway.Gateway;
import java.io.IOException;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The gateway in front of a registry, until it is told to stop. */
@Command(name = "gateway", description = "Run the gateway in front of a registry (in its pod).")
final class GatewayCommand implements Callable<Integer> {
  private static final Logger LOG = LoggerFactory.getLogger("gateway");

  @Option(names = "--config", required = true, description = "gateway.json")
  private Path config;

  @Override
  public Integer call() throws InterruptedException {
    Gateway gateway;
    try {
      gateway = new Gateway(config, System.out, new SecureRandom(), Clock.systemUTC());
    } catch (IOException e) {
      throw new CommandException(ExitCode.USAGE, "gateway: " + e.getMessage());
    }
    LOG.info(
        "mirror-operator {} gateway on port {}, admin on {}: {}",
        Version.current(),
        gateway.port(),
        gateway.adminPort(),
        gateway.config());
    CountDownLatch stop = new CountDownLatch(1);
    CountDownLatch stopped = new CountDownLatch(1);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  stop.countDown();
                  try {
                    stopped.await();
                  } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                  }
                },
                "stop"));
    stop.await();
    gateway.linger();
    // Until every node knows that this pod is gone, new connections still come.
    if (!stopped.await(gateway.config().lingerSeconds(), TimeUnit.SECONDS)) {
      LOG.info("stopping: running requests may end");
    }
    gateway.close();
    stopped.countDown();
    return ExitCode.OK;
  }
}
