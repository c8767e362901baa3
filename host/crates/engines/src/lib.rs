//! Back ends over engines that run elsewhere: vLLM, llama.cpp's server.
