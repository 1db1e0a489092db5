// A photo from the camera: phones have an app for it, other machines get a viewfinder.

/** Makes `button` take photos, if that is possible here; `give` gets each as a File. */
export function bindCamera({ button, input, dialog, video, shutter, close }, give) {
  const phone = matchMedia("(pointer: coarse)").matches;
  if (!phone && !navigator.mediaDevices?.getUserMedia) return;
  button.hidden = false;
  let stream = null;

  const stop = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.srcObject = null;
  };

  button.addEventListener("click", async () => {
    if (phone) return input.click();
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 } } });
    } catch {
      return give(null);
    }
    video.srcObject = stream;
    dialog.showModal();
    shutter.focus();
  });
  input.addEventListener("change", () => {
    if (input.files[0]) give(input.files[0]);
    input.value = "";
  });
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", stop);
  shutter.addEventListener("click", () => {
    if (!video.videoWidth) return;
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    dialog.close();
    canvas.toBlob((blob) => give(new File([blob], "camera.jpg", { type: "image/jpeg" })), "image/jpeg", 0.92);
  });
}
