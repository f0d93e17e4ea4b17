// The official Node SDKs through the cases of the matrix.
// Reads {sdk, base_url, keys, at_once_max, cases} as JSON from standard input and writes what was seen of each case,
// in the shape of tests/contract/seen.py, as one JSON list.

import { readFileSync } from "node:fs";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const REQUEST_ID = "x-signalbox-request-id";

const openai = {
  open: (asked, options) => new OpenAI({ baseURL: `${asked.base_url}/v1`, ...options }),

  async answer(client, request, watched) {
    const { data, response } = await client.chat.completions.create(request).withResponse();
    watched.request_id = response.headers.get(REQUEST_ID);
    return data;
  },

  async streamed(client, request, watched) {
    const stream = client.chat.completions.stream({ ...request, stream_options: { include_usage: true } });
    const details = [];
    stream.on("chunk", (chunk) => {
      const delta = chunk.choices[0]?.delta ?? {};
      watched.pieces += delta.content || delta.tool_calls?.[0]?.function?.arguments ? 1 : 0;
      for (const detail of delta.reasoning_details ?? []) {
        const known = details[detail.index] ?? {};
        details[detail.index] = { ...known, ...detail, text: (known.text ?? "") + (detail.text ?? "") };
      }
    });
    const answer = await stream.finalChatCompletion();
    // Of a field it does not know, the SDK keeps the last piece alone.
    if (details.length) answer.choices[0].message.reasoning_details = details;
    return answer;
  },

  async cancel(client, request, watched) {
    const { data: stream, response } = await client.chat.completions.create({ ...request, stream: true }).withResponse();
    watched.request_id = response.headers.get(REQUEST_ID);
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta.content) break;
    }
    stream.controller.abort();
    return { request_id: watched.request_id };
  },

  withResults(request, first) {
    const message = first.choices[0].message;
    const results = (message.tool_calls ?? []).map((call) => ({
      role: "tool", tool_call_id: call.id, content: "18 degrees",
    }));
    const { parsed, ...said } = message;
    return { ...request, messages: [...request.messages, said, ...results] };
  },

  calls: (answer) =>
    (answer.choices[0].message.tool_calls ?? []).map((call) => ({
      name: call.function.name, arguments: call.function.arguments,
    })),

  seen(answer) {
    const { message, finish_reason } = answer.choices[0];
    return {
      text: message.content ?? "",
      thinking: message.reasoning_content ?? "",
      signatures: (message.reasoning_details ?? []).filter((detail) => detail.signature).length,
      finish: finish_reason,
      input_tokens: answer.usage.prompt_tokens,
      output_tokens: answer.usage.completion_tokens,
      cost: answer.usage.cost ?? null,
    };
  },

  told: (error) => ({ code: error.code, message: error.message }),
  isOwn: (error) => error instanceof OpenAI.APIError,
};

const anthropic = {
  open: (asked, options) => new Anthropic({ baseURL: asked.base_url, ...options }),

  async answer(client, request, watched) {
    const { data, response } = await client.messages.create(request).withResponse();
    watched.request_id = response.headers.get(REQUEST_ID);
    return data;
  },

  async streamed(client, request, watched) {
    const stream = client.messages.stream(request);
    stream.on("streamEvent", (event) => {
      if (event.type === "content_block_delta") watched.pieces += 1;
      if (event.type === "message_delta") watched.cost = event.usage.cost ?? null;
    });
    return stream.finalMessage();
  },

  async cancel(client, request, watched) {
    const { data: stream, response } = await client.messages.create({ ...request, stream: true }).withResponse();
    watched.request_id = response.headers.get(REQUEST_ID);
    for await (const event of stream) {
      if (event.type === "content_block_delta") break;
    }
    stream.controller.abort();
    return { request_id: watched.request_id };
  },

  withResults(request, first) {
    const results = first.content
      .filter((block) => block.type === "tool_use")
      .map((block) => ({ type: "tool_result", tool_use_id: block.id, content: "18 degrees" }));
    const said = [{ role: "assistant", content: first.content }, { role: "user", content: results }];
    return { ...request, messages: [...request.messages, ...said] };
  },

  calls: (answer) =>
    answer.content
      .filter((block) => block.type === "tool_use")
      .map((block) => ({ name: block.name, arguments: JSON.stringify(block.input) })),

  seen(answer) {
    const thoughts = answer.content.filter((block) => block.type === "thinking");
    return {
      text: answer.content.map((block) => (block.type === "text" ? block.text : "")).join(""),
      thinking: thoughts.map((block) => block.thinking).join(""),
      signatures: thoughts.filter((block) => block.signature).length,
      finish: answer.stop_reason,
      input_tokens: answer.usage.input_tokens,
      output_tokens: answer.usage.output_tokens,
      cost: answer.usage.cost ?? null,
    };
  },

  told(error) {
    const told = error.error?.error ?? {};
    return { code: told.code ?? told.type, message: told.message ?? error.message };
  },

  isOwn: (error) => error instanceof Anthropic.APIError,
};

const whole = (sdk, answer, watched, called = []) => ({
  ...sdk.seen(answer),
  cost: watched.cost ?? sdk.seen(answer).cost,
  calls: [...called, ...sdk.calls(answer)],
  pieces: watched.pieces,
  request_id: watched.request_id,
});

const loop = (ask) => async (sdk, client, request, watched) => {
  const first = await sdk[ask](client, request, watched);
  const second = await sdk[ask](client, sdk.withResults(request, first), watched);
  return whole(sdk, second, watched, sdk.calls(first));
};

const actions = {
  create: async (sdk, client, request, watched) => whole(sdk, await sdk.answer(client, request, watched), watched),
  stream: async (sdk, client, request, watched) => whole(sdk, await sdk.streamed(client, request, watched), watched),
  loop: loop("answer"),
  loop_stream: loop("streamed"),
  cancel: (sdk, client, request, watched) => sdk.cancel(client, request, watched),
  count: async (sdk, client, request) => ({ input_tokens: (await client.messages.countTokens(request)).input_tokens }),
  models: async (sdk, client) => {
    const models = [];
    for await (const model of client.models.list()) models.push(model.id);
    return { models };
  },
};

async function seenOf(sdk, asked, one) {
  const watched = { pieces: 0, cost: null, request_id: null };
  // Streams are put together by the SDK, which shows no response: our own fetch keeps the id.
  const watching = async (url, init) => {
    const response = await fetch(url, init);
    watched.request_id ??= response.ok ? response.headers.get(REQUEST_ID) : null;
    return response;
  };
  const client = sdk.open(asked, {
    apiKey: asked.keys[one.key], maxRetries: 0, defaultHeaders: one.headers, fetch: watching,
  });
  try {
    return await actions[one.action](sdk, client, one.request, watched);
  } catch (error) {
    if (!sdk.isOwn(error)) throw error;
    const retryAfter = error.headers?.get("retry-after");
    const { code, message } = sdk.told(error);
    return {
      pieces: watched.pieces,
      request_id: watched.request_id,
      error: {
        class_name: error.constructor.name,
        status: error.status ?? null,
        code: code ?? null,
        message: message ?? "",
        retry_after_s: retryAfter ? Number(retryAfter) : null,
      },
    };
  }
}

const asked = JSON.parse(readFileSync(0, "utf8"));
const sdk = { openai, anthropic }[asked.surface];
const seen = new Array(asked.cases.length);
const waiting = asked.cases.entries();
const worker = async () => {
  for (const [place, one] of waiting) seen[place] = await seenOf(sdk, asked, one);
};
await Promise.all(Array.from({ length: asked.at_once_max }, worker));
process.stdout.write(JSON.stringify(seen));
