-- Run by Orthanc for each instance that it has stored: radiographs go on to plainfilm, its answers and everything else stay.
local RADIOGRAPHS = { CR = true, DX = true, DR = true }

function OnStoredInstance(instance, tags, metadata, origin)
  if RADIOGRAPHS[tags['Modality']] and origin['RemoteAet'] ~= 'PLAINFILM' then
    SendToModality(instance, 'plainfilm')
  end
end
