"""What travels with a model: from an artefact's folder to vectors, and nothing else.

A copy of this package goes into every registered model, so that `mlflow.pyfunc.load_model` works where
imagesearch is not installed. So nothing here imports anything of imagesearch outside this package, and on a CPU
it needs ONNX Runtime, tokenizers, NumPy and Pillow only.

The artefact's folder:

    encoder.json      what the model is, its preprocessing, and the checksum of every other file (`EncoderInfo`)
    tokenizer.json    the tokenizer, with the model's own truncation and padding
    onnx/text.onnx    input_ids [, attention_mask] int64 (n, tokens) -> vectors float32 (n, dims), unit length
    onnx/image.onnx   pixels uint8 (n, height, width, 3) -> vectors float32 (n, dims), unit length
    weights/          the Hugging Face model, for torch on a GPU (not for the starter model)
"""
