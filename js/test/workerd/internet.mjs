// Serves the key set in the last part of the path, in the way that the first part says.

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export default {
  async fetch(request) {
    if (request.headers.get("cache-control") !== "no-cache") {
      throw new Error("a cache would have answered");
    }
    const [, way, encoded] = new URL(request.url).pathname.split("/");
    const jwks = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
    switch (way) {
      case "slow":
        await pause(100);
        return new Response(jwks);
      case "redirect":
        return Response.redirect(`https://evil.example.com/slow/${encoded}`);
      case "html":
        return new Response("<!doctype html><title>Login</title>");
      case "large":
        return new Response(jwks + " ".repeat(5_000_000));
      case "broken":
        return new Response(
          new ReadableStream({ pull: (controller) => controller.error(new Error("reset")) }),
        );
      default:
        throw new Error("down");
    }
  },
};
