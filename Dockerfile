# docker build -t wsnb . && docker run --rm -p 8888:8888 wsnb
FROM python:3.11-slim
# what the wheels expect of the system: a compiler for pydensecrf2, OpenCV's libraries, make
RUN apt-get update && apt-get install -y --no-install-recommends g++ git libgl1 libglib2.0-0 make && rm -rf /var/lib/apt/lists/*
WORKDIR /book
COPY . .
# --build-arg TORCH_INDEX=ADDRESS takes torch from PyTorch's own index, whose CPU wheel is a third of the download
ARG TORCH_INDEX=""
RUN test -z "$TORCH_INDEX" || (python -m venv .venv && .venv/bin/python -m pip install --index-url "$TORCH_INDEX" torch==2.13.0)
RUN make setup
EXPOSE 8888
CMD ["make", "lab", "LAB=--ip=0.0.0.0 --no-browser"]
