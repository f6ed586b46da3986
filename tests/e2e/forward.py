"""A way to the API server that can be closed: forwards 127.0.0.1:PORT (0: a free one, which is printed) to HOST:PORT. After
SIGUSR1 what comes back is held until SIGUSR2."""
import asyncio
import signal
import sys

flows = asyncio.Event()
flows.set()


async def pump(reader, writer, comes_back):
    try:
        while data := await reader.read(65536):
            if comes_back:
                await flows.wait()
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main(port, host, target):
    async def accept(reader, writer):
        try:
            there = await asyncio.open_connection(host, target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, there[1], False), pump(there[0], writer, True))

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, flows.clear)
    loop.add_signal_handler(signal.SIGUSR2, flows.set)
    server = await asyncio.start_server(accept, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
